import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reading } from '../../platform/store/contract-rows.ts'
import { check } from '../../test/fixtures/property.ts'
import { SinkPartition } from './sink-partition.ts'
import { composeBatch, halve, offsetAfter, sliceRows, takeSlices, type WaitingBatch } from './write-batch.ts'

const partitionAt = (number: number, stored: number): SinkPartition => {
  const found = new SinkPartition({ topic: 't', partition: number })
  found.found(stored, stored, null)
  return found
}

/** Offsets 10, 12, 14, …: every other record of the fetch was not a row. */
const waiting = (partition: number, rows: number, done = 0): WaitingBatch => ({
  partition: partitionAt(partition, 10 + 2 * done),
  batch: { topic: 't', partition, batches: [], nextOffset: 1_000, endOffset: 1_000 },
  readings: Array.from({ length: rows }, (_, i) => reading({ sensor_id: `s${partition}`, ts: i + 1 })),
  anomalies: [],
  versions: Float64Array.from({ length: rows }, (_, i) => i),
  arrivals: Float64Array.from({ length: rows }, (_, i) => 100 + i),
  offsets: Float64Array.from({ length: rows }, (_, i) => 10 + 2 * i),
  nextOffset: 1_000,
  done,
})

describe('store transactions', () => {
  it('cuts the last batch where the transaction is full, and begins the next one there', () => {
    const batches = [waiting(0, 3), waiting(1, 5)]
    const slices = takeSlices(batches, 5)
    expect(slices.map(({ from, to }) => [from, to])).toEqual([[0, 3], [0, 2]]) // prettier-ignore
    expect(slices.map(offsetAfter)).toEqual([1_000, 14])
    batches[0].done = 3
    batches[1].done = 2
    expect(takeSlices(batches, 5).map(({ from, to }) => [from, to])).toEqual([[3, 3], [2, 5]]) // prettier-ignore
  })

  it('takes batches without rows along, since they move progress', () => {
    expect(takeSlices([waiting(0, 0), waiting(1, 2), waiting(2, 0)], 2).length).toBe(3)
  })

  it('moves progress with the rows, one step per partition from its stored offset', () => {
    const batch = composeBatch(takeSlices([waiting(0, 3, 1), waiting(1, 2)], 3), [partitionAt(7, 70)])
    expect(batch.rows.readings.map(({ sensor_id, ts }) => `${sensor_id} ${ts}`)).toEqual(['s0 2', 's0 3', 's1 1'])
    expect([...batch.rows.versions]).toEqual([1, 2, 0])
    expect([...batch.rows.arrivals]).toEqual([101, 102, 100])
    expect(batch.progress.map(({ partition, after, offset, eventMs }) => [partition, after, offset, eventMs])).toEqual([
      [0, 12, 1_000, 3],
      [1, 10, 12, 1],
      [7, 70, 70, null],
    ])
  })

  it('whatever waits: every row is taken once, in order, and no transaction has more rows than it may', () => {
    check(
      fc.property(fc.array(fc.nat(40), { maxLength: 6 }), fc.integer({ min: 1, max: 30 }), (sizes, rowsMax) => {
        let batches = sizes.map((rows, partition) => waiting(partition, rows))
        const taken: string[] = []
        while (batches.length > 0) {
          const slices = takeSlices(batches, rowsMax)
          expect(slices.length).toBeGreaterThan(0)
          expect(sliceRows(slices)).toBeLessThanOrEqual(rowsMax)
          for (const { decoded, from, to } of slices) {
            for (let i = from; i < to; i += 1) taken.push(`${decoded.partition.partition} ${i}`)
            decoded.done = to
          }
          batches = batches.filter((decoded) => decoded.done < decoded.readings.length)
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
          parts.flatMap(({ decoded, from, to }) =>
            Array.from({ length: to - from }, (_, i) => `${decoded.partition.partition} ${from + i}`),
          )
        expect([...rowsOf(first), ...rowsOf(second)]).toEqual(rowsOf(slices))
      }),
    )
  })
})
