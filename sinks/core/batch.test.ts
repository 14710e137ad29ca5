import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reading } from '../../platform/store/contract-rows.ts'
import { check } from '../../test/fixtures/property.ts'
import { composeBatch, halve, type Lane, offsetAfter, sliceRows, takeSlices, type Waiting } from './batch.ts'

const lane = (partition: number, stored: number): Lane => ({
  topic: 't',
  partition,
  stored,
  position: stored,
  throughMs: null,
  marks: [],
  active: true,
  started: true,
  busy: true,
  savedMs: 0,
})

/** Offsets 10, 12, 14, …: every other record of the fetch was not a row. */
const waiting = (partition: number, rows: number, done = 0): Waiting => ({
  lane: lane(partition, 10 + 2 * done),
  batch: { topic: 't', partition, views: [], nextOffset: 1_000, endOffset: 1_000 },
  readings: Array.from({ length: rows }, (_, i) => reading({ sensor_id: `s${partition}`, ts: i + 1 })),
  anomalies: [],
  versions: Float64Array.from({ length: rows }, (_, i) => i),
  arrivals: Float64Array.from({ length: rows }, (_, i) => 100 + i),
  offsets: Float64Array.from({ length: rows }, (_, i) => 10 + 2 * i),
  nextOffset: 1_000,
  done,
})

describe('batches', () => {
  it('cuts the last unit where the batch is full, and begins the next batch there', () => {
    const units = [waiting(0, 3), waiting(1, 5)]
    const slices = takeSlices(units, 5)
    expect(slices.map(({ from, to }) => [from, to])).toEqual([[0, 3], [0, 2]]) // prettier-ignore
    expect(slices.map(offsetAfter)).toEqual([1_000, 14])
    units[0].done = 3
    units[1].done = 2
    expect(takeSlices(units, 5).map(({ from, to }) => [from, to])).toEqual([[3, 3], [2, 5]]) // prettier-ignore
  })

  it('takes units without rows along, since they move progress', () => {
    expect(takeSlices([waiting(0, 0), waiting(1, 2), waiting(2, 0)], 2).length).toBe(3)
  })

  it('moves progress with the rows, one step per partition from where it stands', () => {
    const batch = composeBatch(takeSlices([waiting(0, 3, 1), waiting(1, 2)], 3), [lane(7, 70)])
    expect(batch.rows.readings.map(({ sensor_id, ts }) => `${sensor_id} ${ts}`)).toEqual(['s0 2', 's0 3', 's1 1'])
    expect([...batch.rows.versions]).toEqual([1, 2, 0])
    expect([...batch.rows.arrivals]).toEqual([101, 102, 100])
    expect(batch.progress.map(({ partition, after, offset, eventMs }) => [partition, after, offset, eventMs])).toEqual([
      [0, 12, 1_000, 3],
      [1, 10, 12, 1],
      [7, 70, 70, null],
    ])
  })

  it('whatever waits: batch by batch every row is taken once, in order, and no batch has more than it may', () => {
    check(
      fc.property(fc.array(fc.nat(40), { maxLength: 6 }), fc.integer({ min: 1, max: 30 }), (sizes, rowsMax) => {
        let units = sizes.map((rows, partition) => waiting(partition, rows))
        const taken: string[] = []
        while (units.length > 0) {
          const slices = takeSlices(units, rowsMax)
          expect(slices.length).toBeGreaterThan(0)
          expect(sliceRows(slices)).toBeLessThanOrEqual(rowsMax)
          for (const { unit, from, to } of slices) {
            for (let i = from; i < to; i += 1) taken.push(`${unit.lane.partition} ${i}`)
            unit.done = to
          }
          units = units.filter((unit) => unit.done < unit.readings.length)
        }
        expect(taken).toEqual(sizes.flatMap((rows, p) => Array.from({ length: rows }, (_, i) => `${p} ${i}`)))
      }),
    )
  })

  it('halves into parts that hold each row once, neither empty', () => {
    check(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }), (sizes) => {
        const slices = takeSlices(sizes.map((rows, p) => waiting(p, rows)), 1e9) // prettier-ignore
        fc.pre(sliceRows(slices) >= 2)
        const [first, second] = halve(slices)
        expect(Math.abs(sliceRows(first) - sliceRows(second))).toBeLessThanOrEqual(1)
        const rowsOf = (parts: typeof slices): string[] =>
          parts.flatMap(({ unit, from, to }) =>
            Array.from({ length: to - from }, (_, i) => `${unit.lane.partition} ${from + i}`),
          )
        expect([...rowsOf(first), ...rowsOf(second)]).toEqual(rowsOf(slices))
      }),
    )
  })
})
