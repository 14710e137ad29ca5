// K1: a mistake in refine's core, planted, that shows on the readings of one sensor after half of their step is done.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CLEAN, DLQ } from '../../schemas/topics.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const NOW = Date.now() - 60_000

let stack: Stack

beforeAll(async () => {
  stack = await startStack(1)
})
afterAll(() => stack?.stop())

const reading = (sensor: string, seq: number): LoadRecord =>
  recordOf(readingOf(sensor, 1, seq, NOW + seq), stack.readingId)

it('K1: its readings are dead letters and nothing else of them remains; the partition continues, also after a restart', async () => {
  const start = () =>
    stack.processes.start({
      main: 'test/faults/refine-entry.ts',
      env: stack.env({ ...QUICK, REFINE_SNAPSHOT_MS: '600000', CORE_THROWS: 'mistaken' }),
      ready: { output: 'the partition is owned and restored' },
    })
  const refine = await start()
  const load = (from: number): LoadRecord[] =>
    Array.from({ length: 20 }, (_, i) => [reading('good', from + i), reading('mistaken', from + i)]).flat()
  await stack.send(load(0))
  await settled(stack)
  await refine.kill()
  await start()
  await stack.send(load(20))
  await settled(stack)
  const clean = (await readTopic(stack.kafka, CLEAN)).flat()
  expect(clean.map(({ key }) => key!.toString())).toEqual(Array.from({ length: 40 }, () => 't1/good'))
  const letters = (await readTopic(stack.kafka, DLQ)).flat()
  expect(letters).toHaveLength(40)
  for (const { key, headers } of letters)
    expect([key!.toString(), headers['__connect.errors.exception.class.name']]).toEqual([
      't1/mistaken',
      'INTERNAL_ERROR',
    ])
  expect(refine.output()).toContain('CORE_FAILED')
})
