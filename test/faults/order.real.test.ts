// The way of a reading into the total order and out of it, every part real: refine and the sequencer in two processes,
// of which the one with the active sequencer is killed again and again, and replicas beside them. DS-1, DS-2, DS-5.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { OrderCheck } from '../../platform/order/check.ts'
import { OrderReader } from '../../platform/order/order-reader.ts'
import { rowFiles } from '../../sinks/replica/folder.ts'
import { readState } from '../../sinks/replica/state.ts'
import { makeLoad } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { CLEAN, feed, schemasOf, settled, startStack, type Stack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const KILLS = 2
const WAIT_MS = 60_000

let stack: Stack
let root: string

beforeAll(async () => {
  stack = await startStack(3)
  root = mkdtempSync(join(tmpdir(), 'plumbline-order-'))
})
afterAll(async () => {
  await stack?.stop()
  rmSync(root, { recursive: true, force: true })
})

it('every reading of clean has one place in the order and one row in each replica, though leaders are killed under load (DS-1, DS-2, DS-5)', async () => {
  const session = { SEQUENCER_SESSION_MS: '3000' }
  let jobs: [ServiceProcess, ServiceProcess] = [await stack.startRefine(session), await stack.startRefine(session)]
  const replica = (id: string): Promise<ServiceProcess> =>
    stack.processes.start({
      main: 'sinks/replica/main.ts',
      args: ['--id', id, '--dir', root, '--resume'],
      env: stack.env({ LOG_LEVEL: 'info' }),
      ready: { output: '"listening"' },
    })
  await replica('r1')
  let second = await replica('r2')
  const load = makeLoad({
    seed: 3,
    sensors: 12,
    readingsPerSensor: 150,
    schemaId: stack.readingId,
    startMs: Date.now() - 60_000,
  })
  const feeding = feed(stack, load)
  for (let i = 0; i < KILLS; i += 1) {
    await delay(500)
    await jobs[0].kill()
    await second.kill()
    jobs = [jobs[1], await stack.startRefine(session)]
    second = await replica('r2')
  }
  await feeding
  await settled(stack)

  const clean = (await readTopic(stack.kafka, CLEAN)).map((records) => records.map(({ offset }) => offset))
  const total = clean.flat().length
  expect(total).toBeGreaterThan(1_000)
  await until(() => ['r1', 'r2'].every((id) => readState(join(root, id))?.next_sequence === total))
  const places = await orderOf(total)
  expect(places.map((partition) => partition.sort((a, b) => a - b))).toEqual(clean)
  expect(contents('r2')).toEqual(contents('r1'))
  const sequences = Object.entries(contents('r1'))
    .filter(([path]) => !path.startsWith('late/'))
    .flatMap(([, text]) => text.trimEnd().split('\n').slice(1))
    .map((row) => Number.parseInt(row, 10))
  expect(sequences.sort((a, b) => a - b)).toEqual(Array.from({ length: total }, (_, sequence) => sequence))
})

/** Offsets of clean that have a place, by partition; the order is checked on the way. */
async function orderOf(total: number): Promise<number[][]> {
  const reader = await OrderReader.open({ kafka: stack.kafka, fetchSchema: schemasOf(stack) })
  const places: number[][] = [[], [], []]
  const check = new OrderCheck()
  try {
    const { start, end } = await reader.log.range()
    await reader.log.scan(start, end, (record) => check.add(record) === null)
    expect([check.first, check.next]).toEqual([0, total])
    await reader.read(0, total, ({ partition, batch, from, to }) => {
      for (let i = from; i < to; i += 1) places[partition].push(batch.offset(i))
    })
  } finally {
    await reader.close()
  }
  return places
}

const contents = (id: string): Record<string, string> =>
  Object.fromEntries(
    rowFiles(join(root, id))
      .sort()
      .map((path) => [path, readFileSync(join(root, id, path), 'utf8')]),
  )

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + WAIT_MS; !holds(); await delay(50))
    if (performance.now() > deadline) throw new Error('the replicas did not catch up with the order')
}
