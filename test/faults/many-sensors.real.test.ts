// security 8: 100,000 sensors at once, as one accepted POST of 7 MB brings them. Refine stays in its group, and what it knows
// of all of them outlives it.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { CLEAN, SNAPSHOTS } from '../../schemas/topics.ts'
import { readingOf, recordOf } from '../fixtures/load.ts'
import { until } from '../fixtures/metric.ts'
import { settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const SENSORS = 100_000
const PARTITIONS = 2
const NOW = Date.now() - 60_000

let stack: Stack

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
})
afterAll(() => stack?.stop())

const round = (seq: number) =>
  Array.from({ length: SENSORS }, (_, i) => recordOf(readingOf(`many-${i}`, 1, seq, NOW + seq), stack.readingId))
const restoredSensors = (output: string): number[] =>
  [...output.matchAll(/"sensors":(\d+),"msg":"the partition is owned and restored"/g)].map(([, count]) => Number(count))

it('security 8: 100,000 sensors at once never put refine out of its group, and a restart knows them all', async () => {
  const refine = await stack.startRefine()
  await stack.send(round(0))
  await settled(stack)
  await stack.send(round(1))
  await settled(stack)
  // Each partition was acquired once: nobody was put out of the group, and no transaction failed.
  expect(restoredSensors(refine.output())).toEqual([0, 0])
  expect(refine.output()).not.toContain('in doubt')
  const slices = (await readTopic(stack.kafka, SNAPSHOTS)).flat().map(({ value }) => value!.length)
  expect(Math.max(...slices)).toBeLessThan(600 * 1024)
  expect(await refine.stop()).toBe(0)
  const again = await stack.startRefine()
  // Its output may come later than its readiness.
  const areTold = (): boolean => restoredSensors(again.output()).length === PARTITIONS
  await until(() => Promise.resolve(areTold()), 'both partitions are restored')
  expect(restoredSensors(again.output()).reduce((sum, count) => sum + count, 0)).toBe(SENSORS)
  await stack.send(round(1))
  await settled(stack)
  expect((await readTopic(stack.kafka, CLEAN)).flat()).toHaveLength(2 * SENSORS)
})
