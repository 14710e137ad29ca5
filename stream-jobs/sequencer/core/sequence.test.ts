import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { type Extent, ExtentError, type OrderRecord, Sequence } from './sequence.ts'

const PARTITIONS = 3
const fresh = (next = 0): Sequence =>
  new Sequence(next, new Map(Array.from({ length: PARTITIONS }, (_, p) => [p, { position: 0, cleanEnd: 0 }])))
const extent = (partition: number, first_offset: number, count: number): Extent => ({
  partition,
  first_offset,
  count,
  ts_min: 1,
  ts_max: 2,
  input_from: 0,
  input_to: 9,
  arrival_ms: 3,
})

/** Extents of some partitions as they may come: gaps in clean and in the log of extents, any interleaving. */
const logs = fc.array(
  fc.record({
    partition: fc.nat(PARTITIONS - 1),
    gap: fc.nat(3),
    count: fc.integer({ min: 1, max: 50 }),
    skip: fc.nat(2),
  }),
  { maxLength: 200 },
)

interface Arrival {
  readonly partition: number
  readonly offset: number
  readonly extent: Extent
}

function arrivals(steps: readonly { partition: number; gap: number; count: number; skip: number }[]): Arrival[] {
  const ends = Array.from({ length: PARTITIONS }, () => ({ clean: 0, offset: 0 }))
  return steps.map(({ partition, gap, count, skip }) => {
    const end = ends[partition]
    const first = end.clean + gap
    const offset = end.offset + skip
    end.clean = first + count
    end.offset = offset + 1
    return { partition, offset, extent: extent(partition, first, count) }
  })
}

describe('DS-1: the sequence', () => {
  test('is gapless from where it begins, one place for every reading, in order within each partition', () => {
    check(
      fc.property(logs, fc.nat(), (steps, begin) => {
        const sequence = fresh(begin)
        const order = arrivals(steps).map((one) => sequence.append(one.partition, one.offset, one.extent))
        let next = begin
        const lastOfPartition = new Map<number, OrderRecord>()
        for (const record of order) {
          expect(record.base_sequence).toBe(next)
          next += record.count
          const before = lastOfPartition.get(record.partition)
          if (before !== undefined) {
            expect(record.first_offset).toBeGreaterThanOrEqual(before.first_offset + before.count)
            expect(record.extent_offset).toBeGreaterThan(before.extent_offset)
          }
          lastOfPartition.set(record.partition, record)
        }
        expect(sequence.next).toBe(next)
      }),
    )
  })

  test('continues from its own state as if it had never been interrupted', () => {
    check(
      fc.property(logs, fc.nat(), (steps, by) => {
        const all = arrivals(steps)
        const cut = all.length === 0 ? 0 : by % all.length
        const whole = fresh()
        const expected = all.map((one) => whole.append(one.partition, one.offset, one.extent))
        const first = fresh()
        const before = all.slice(0, cut).map((one) => first.append(one.partition, one.offset, one.extent))
        const second = new Sequence(first.next, new Map(first.partitions().map((p) => [p, first.reached(p)])))
        const after = all.slice(cut).map((one) => second.append(one.partition, one.offset, one.extent))
        expect([...before, ...after]).toEqual(expected)
      }),
    )
  })

  test('a tail without extents is passed, and a position that was passed is not gone back to', () => {
    const sequence = fresh()
    sequence.pass(0, 7)
    sequence.pass(0, 3)
    expect(sequence.reached(0)).toEqual({ position: 7, cleanEnd: 0 })
    expect(() => sequence.append(0, 6, extent(0, 0, 1))).toThrow(expect.objectContaining({ code: 'EXTENT_REPEATED' }))
  })

  test.each([
    ['an extent that comes again', 0, 4, extent(0, 100, 1), 'EXTENT_REPEATED'],
    ['one that overlaps the last', 0, 9, extent(0, 14, 5), 'EXTENT_OVERLAPS'],
    ['one that goes backwards', 0, 9, extent(0, 0, 2), 'EXTENT_OVERLAPS'],
    ['one of another partition', 0, 9, extent(1, 100, 2), 'EXTENT_MISPLACED'],
    ['an empty one', 0, 9, extent(0, 100, 0), 'EXTENT_EMPTY'],
    ['one that leaves the exact numbers', 0, 9, extent(0, 100, Number.MAX_SAFE_INTEGER), 'SEQUENCE_EXHAUSTED'],
  ])('refuses %s and stays as it was', (_what, partition, offset, given, code) => {
    const sequence = fresh()
    sequence.append(0, 4, extent(0, 10, 5))
    expect(() => sequence.append(partition, offset, given)).toThrow(ExtentError)
    expect(() => sequence.append(partition, offset, given)).toThrow(expect.objectContaining({ code }) as Error)
    expect(sequence.next).toBe(5)
    expect(sequence.reached(0)).toEqual({ position: 5, cleanEnd: 15 })
    expect(sequence.append(0, 9, extent(0, 15, 1)).base_sequence).toBe(5)
  })
})
