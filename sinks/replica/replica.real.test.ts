// Replicas as processes on a real broker: started at different times, killed again and again, and held to rows that are
// worked out here from what was sent. DS-4, DS-5.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Reading } from '../../platform/codec/reading.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { bare } from '../../test/fixtures/bare.ts'
import { readingOf } from '../../test/fixtures/load.ts'
import { OrderWriter } from '../../test/fixtures/order-writer.ts'
import type { ServiceProcess } from '../../test/fixtures/processes.ts'
import { startStack, type Stack } from '../../test/fixtures/refine.ts'
import { latePath, orderPath } from './file-names.ts'
import { rowFiles } from './folder.ts'
import { readState } from './state.ts'

const PARTITIONS = 3
const WAIT_MS = 60_000
const KILLS = 4
const START_MS = Date.UTC(2026, 0, 1)
const SENSORS = [
  'climate-1',
  'Climate-1',
  '..',
  '../escape',
  '=1+1',
  'a,"b"',
  'ä',
  'a\u0308',
  '漢'.repeat(80),
  '.',
  'late',
]
const TENANTS = ['default', 'acme', 'ACME']

let stack: Stack
let writer: OrderWriter
let root: string
let seq = 0
const late: { readonly offset: number; readonly reading: Reading }[][] = Array.from({ length: PARTITIONS }, () => [])

const reading = (): Reading => {
  seq += 1
  const metrics: Record<string, number> = seq % 3 === 0 ? { humidity_pct: seq / 8 } : { temperature_c: -seq / 4 }
  const made = readingOf(SENSORS[seq % SENSORS.length], 1, seq, START_MS + seq, metrics)
  return { ...made, tenant_id: TENANTS[seq % TENANTS.length] }
}
const some = (count: number): Reading[] => Array.from({ length: count }, reading)

const start = (id: string, ...args: string[]): Promise<ServiceProcess> =>
  stack.processes.start({
    main: 'sinks/replica/main.ts',
    args: ['--id', id, '--dir', root, ...args],
    env: stack.env({ LOG_LEVEL: 'info' }),
    ready: { output: '"listening"' },
  })

/** Resolves when the replica's checkpoint says that it has everything. */
async function caughtUp(id: string, service: ServiceProcess): Promise<void> {
  const lates = late.map((rows) => (rows.at(-1)?.offset ?? -1) + 1)
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(50)) {
    const state = readState(join(root, id))
    if (state?.next_sequence === writer.next && lates.every((end, p) => (state.late_next[p] ?? 0) >= end)) return
    if (!service.isRunning()) break
  }
  throw new Error(`${id} did not catch up: ${JSON.stringify(readState(join(root, id)))}\n${service.output()}`)
}

const contents = (id: string): Record<string, string> =>
  Object.fromEntries(
    rowFiles(join(root, id))
      .sort()
      .map((path) => [path, readFileSync(join(root, id, path), 'utf8')]),
  )

async function until(holds: () => boolean): Promise<void> {
  for (const deadline = performance.now() + WAIT_MS; !holds(); await delay(10))
    if (performance.now() > deadline) throw new Error('what was waited for did not come')
}

/** Rows in its files that its checkpoint does not vouch for. */
function rowsBeyondCheckpoint(id: string): number {
  const next = readState(join(root, id))?.next_sequence ?? 0
  const rows = Object.entries(contents(id)).flatMap(([path, text]) =>
    path.startsWith('late/') ? [] : text.split('\n'),
  )
  return rows.filter((row) => Number.parseInt(row, 10) >= next).length
}

/** The files as they must be, from what was sent. Cells are spelled out: nothing here is the code under test. */
function expected(from = 0): Record<string, string> {
  const files: Record<string, string> = {}
  const cells: Record<string, string> = { '=1+1': "'=1+1", 'a,"b"': '"a,""b"""' }
  const row = (place: number, { ts, sensor_id, temperature_c, humidity_pct }: Reading): string | null =>
    Number.isNaN(temperature_c)
      ? null
      : [
          place,
          new Date(ts).toISOString(),
          cells[sensor_id] ?? sensor_id,
          temperature_c ?? '',
          humidity_pct ?? '',
          '',
        ].join(',')
  const put = (path: string, first: string, line: string | null): void => {
    if (line === null) return
    files[path] = `${files[path] ?? `${first},timestamp,sensor_id,temperature_c,humidity_pct,pressure_hpa\n`}${line}\n`
  }
  for (const { sequence, reading: placed } of writer.placed)
    if (sequence >= from) put(orderPath(placed.tenant_id, placed.sensor_id), 'sequence', row(sequence, placed))
  for (const [partition, rows] of late.entries())
    for (const { offset, reading: one } of rows)
      put(latePath(partition, one.tenant_id, one.sensor_id), 'offset', row(offset, one))
  return files
}

/** One transaction of refine after another; every fourth brings late readings, too. */
async function feed(transactions: number, pauseMs: number, signal?: AbortSignal): Promise<void> {
  for (let i = 0; i < transactions && signal?.aborted !== true; i += 1) {
    const partition = i % PARTITIONS
    await writer.append([
      [partition, some(7)],
      [(partition + 1) % PARTITIONS, some(1 + (i % 40))],
    ])
    if (i % 4 === 0) await sendLate(partition, some(3))
    await delay(pauseMs)
  }
}

async function sendLate(partition: number, readings: readonly Reading[]): Promise<void> {
  const first = await writer.late(partition, readings)
  for (const [k, one] of readings.entries()) late[partition].push({ offset: first + k, reading: one })
}

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
  writer = await OrderWriter.start(stack)
  root = mkdtempSync(join(tmpdir(), 'plumbline-replicas-'))
})
afterAll(async () => {
  await writer?.close()
  await stack?.stop()
  rmSync(root, { recursive: true, force: true })
})

describe('replicas', () => {
  const services = new Map<string, ServiceProcess>()

  it('hold the same bytes, every reading once and in order, one killed again and again, one started late (DS-1, DS-4, DS-5)', async () => {
    services.set('r1', await start('r1'))
    const fed = new AbortController()
    const feeding = feed(1_000, 160, fed.signal)
    let killed = await start('r2')
    // A kill counts that leaves rows which the checkpoint does not vouch for: those a resume must mend.
    for (let i = 0; i < KILLS; i += 1) {
      await until(() => rowsBeyondCheckpoint('r2') > 0)
      await killed.kill()
      killed = await start('r2', '--resume')
    }
    fed.abort()
    services.set('r2', killed)
    await feeding
    services.set('r3', await start('r3'))
    for (const [id, service] of services) await caughtUp(id, service)
    const files = expected()
    expect(Object.keys(files).length).toBeGreaterThan(SENSORS.length * TENANTS.length)
    for (const id of services.keys()) expect(contents(id)).toEqual(files)
  })

  it('stop cleanly with everything on disk, and a second process never writes the same folder', async () => {
    await expect(start('r1', '--resume')).rejects.toThrow(/another process writes the replica r1/)
    expect(await services.get('r1')!.stop()).toBe(0)
    expect(contents('r1')).toEqual(expected())
  })

  it('are cleared on start unless they are resumed, and then end with the same bytes', async () => {
    await feed(3, 0)
    const service = await start('r1')
    await caughtUp('r1', service)
    await caughtUp('r2', services.get('r2')!)
    expect(contents('r1')).toEqual(contents('r2'))
    expect(contents('r1')).toEqual(expected())
    await service.kill()
    await services.get('r2')!.stop()
    await services.get('r3')!.stop()
  })

  it('K6: leave out what is not a reading, in the order and in late, name it and go on', async () => {
    const service = await start('r4')
    // NaN is what refine, the sink and exports refuse as well.
    const [one, bad, two] = some(3)
    await writer.append([[0, [one, { ...bad, temperature_c: NaN }, two]]])
    await sendLate(1, [{ ...bad, temperature_c: NaN }, ...some(2)])
    const records = new RecordBatchBuilder()
    records.add(null, Buffer.from('not framed'))
    const producer = await stack.kafka.producer()
    await producer.send([{ topic: LATE, partition: 1, records }])
    await producer.close()
    await sendLate(1, some(1))
    await caughtUp('r4', service)
    expect(contents('r4')).toEqual(expected())
    expect(service.output().match(/records that are not readings were left out/g)).toHaveLength(3)
    expect(service.output()).toContain('temperature_c is not a number')
    expect(await service.stop()).toBe(0)
    const resumed = await start('r4', '--resume')
    await caughtUp('r4', resumed)
    expect(await resumed.stop()).toBe(0)
  })

  it('begin after what retention has removed and say so; a resumed one that misses it ends loudly', async () => {
    const cut = writer.placed.findLast(({ partition, sequence }) => partition === 0 && sequence < writer.next - 40)!
    await bare('admin', {
      brokers: stack.broker.brokers,
      deleteRecords: { topic: CLEAN, partitions: [{ partition: 0, offset: String(cut.offset + 1) }] },
    })
    const fresh = await start('r5')
    await caughtUp('r5', fresh)
    const { first_sequence: first } = readState(join(root, 'r5'))!
    expect(first).toBeGreaterThan(cut.sequence)
    expect(contents('r5')).toEqual(expected(first!))
    expect(fresh.output()).toMatch(/retention has removed the beginning of the order/)
    await feed(3, 0)
    await caughtUp('r5', fresh)
    expect(await fresh.stop()).toBe(0)
    const resumed = await start('r2', '--resume')
    await caughtUp('r2', resumed)
    expect(contents('r2')).toEqual(expected())
    expect(await resumed.stop()).toBe(0)
    await writer.append([[1, some(2)]])
    await bare('admin', {
      brokers: stack.broker.brokers,
      deleteRecords: { topic: CLEAN, partitions: [{ partition: 1, offset: '-1' }] },
    })
    const behind = await start('r2', '--resume')
    expect(await behind.exited).toBe(1)
    expect(behind.output()).toMatch(/RANGE_REMOVED/)
    expect(behind.output()).toMatch(
      /retention has removed sequences \d+ to \d+ \(telemetry\.clean\/1 offsets \d+ to \d+\)/,
    )
  })
})
