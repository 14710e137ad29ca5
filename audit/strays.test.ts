// K3: a sensor's readings in partitions where its key does not belong, on books and records made by hand.
import { describe, expect, it } from 'vitest'
import { partitionOf } from '../platform/kafka/partitioner.ts'
import { PartitionBook } from './core/book.ts'
import { idOf, type PassingRecord } from './core/entries.ts'
import { Findings } from './core/findings.ts'
import { METRIC_VALUES, T0 } from './core/partition.test-support.ts'
import { Strays } from './strays.ts'

const PARTITIONS = 3
type Placed = readonly [key: string, epoch: number, seq: number, ts: number]

const homeOf = (key: string): number => partitionOf(Buffer.from(key), 0, key.length, PARTITIONS)
const keyIn = (partition: number, skip = 0): string =>
  Array.from({ length: 100 }, (_, i) => `t/s${i}`).filter((key) => homeOf(key) === partition)[skip]

/** Clean, by partition. */
async function judge(
  clean: readonly (readonly Placed[])[],
): Promise<{ problems: string[]; notes: string[]; keys: string[] }> {
  const strays = new Strays(PARTITIONS)
  const read: number[] = []
  for (const [partition, readings] of clean.entries()) {
    const book = new PartitionBook(partition)
    for (const [key, epoch, seq, ts] of readings) {
      const lane = book.sensor(key).lane(epoch)
      lane.clean.add(idOf(lane, seq, ts))
    }
    strays.collect(book)
  }
  const findings = new Findings()
  const scanner = {
    eachReading: async (_topic: string, partition: number, _range: unknown, visit: (record: PassingRecord) => void) => {
      read.push(partition)
      for (const [offset, [key, epoch, seq, ts]] of clean[partition].entries())
        visit({
          kind: 'reading',
          offset,
          arrivalMs: T0,
          key,
          epoch,
          seq,
          ts,
          labels: 0,
          metrics: METRIC_VALUES,
          hash: 0,
        })
    },
  }
  await strays.judge(scanner, { clean: clean.map((rows) => ({ start: 0, end: rows.length })) }, findings)
  expect(read, 'each partition is read once at most').toEqual([...new Set(read)])
  return {
    problems: findings.problems.map(({ code, message }) => `${code}: ${message}`),
    notes: findings.notes,
    keys: [...strays.keys],
  }
}

describe('K3: identity over all partitions', () => {
  const [home, other] = [keyIn(0), keyIn(1)]

  it('says nothing where every sensor is in its own partition', async () => {
    const found = await judge([[[home, 1, 0, T0]], [[other, 1, 0, T0]], []])
    expect(found).toEqual({ problems: [], notes: [], keys: [] })
  })

  it('names the reading and both places when it is in its own partition and in another', async () => {
    const { problems } = await judge([
      [
        [home, 1, 0, T0],
        [home, 1, 1, T0 + 1],
      ],
      [[home, 1, 1, T0 + 1]],
      [],
    ])
    expect(problems).toEqual([
      `TWICE: ${home} epoch 1 seq 1 ts ${T0 + 1} is in telemetry.clean/0 (offset 1) and in telemetry.clean/1`,
    ])
  })

  it('names it once when both partitions are wrong', async () => {
    const { problems } = await judge([[], [[home, 1, 0, T0]], [[home, 1, 0, T0]]])
    expect(problems).toEqual([
      `TWICE: ${home} epoch 1 seq 0 ts ${T0} is in telemetry.clean/1 (offset 0) and in telemetry.clean/2`,
    ])
  })

  it('names a reading without seq by its event time, and not one of another time', async () => {
    const { problems } = await judge([
      [
        [home, 0, 0, T0],
        [home, 0, 0, T0 + 1],
      ],
      [],
      [[home, 0, 0, T0 + 1]],
    ])
    expect(problems).toHaveLength(1)
    expect(problems[0]).toContain(`ts ${T0 + 1} is in telemetry.clean/0 (offset 1) and in telemetry.clean/2`)
  })

  it('accuses no sensor that has merely moved: other numbers, other epochs, or another sensor', async () => {
    const moved = await judge([
      [
        [home, 1, 0, T0],
        [home, 2, 1, T0 + 1],
      ],
      [
        [home, 1, 1, T0 + 2],
        [other, 1, 0, T0],
      ],
      [],
    ])
    expect(moved.problems).toEqual([])
    expect(moved.keys).toEqual([home])
    expect(moved.notes.join()).toContain('1 sensors are in partitions of clean that their keys do not belong to')
  })
})
