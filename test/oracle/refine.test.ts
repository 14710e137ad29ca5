// Tests the oracle itself, on tables small enough to check by eye.
import type avsc from 'avsc'
import { describe, expect, it } from 'vitest'
import { encodeFramed, readingType } from '../../platform/codec/reading.ts'
import { readingOf, recordOf } from '../fixtures/load.ts'
import { differences } from './compare.ts'
import { type Expected, expectRefined, type RawRecord } from './refine.ts'

const ID = 1
const SETTINGS = {
  gapTimeoutMs: 100,
  gapBuffer: 3,
  holdBackMs: 100,
  holdBackBuffer: 3,
  futureMs: 1_000,
  aheadMs: 1_000,
  earliestMs: 0,
  partition: 0,
  partitions: 0,
}
const typeOf = (id: number): avsc.Type | undefined => (id === ID ? readingType : undefined)

/** arrival, epoch, seq, ts and, if it matters, the value. */
type Row = readonly [number, number, number, number, number?]

const raw = (rows: readonly Row[]): RawRecord[] =>
  rows.map(([arrival, epoch, seq, ts, value = 20], offset) => ({
    offset,
    arrival,
    ...recordOf(readingOf('a', epoch, seq, ts, { temperature_c: value }), ID),
    headers: {},
  }))
const tick = (offset: number, arrival: number): RawRecord => ({
  offset,
  arrival,
  key: null,
  value: null,
  headers: { 'plumbline.control': 'tick' },
})
const expectOf = (records: readonly RawRecord[]): Expected => expectRefined(records, SETTINGS, typeOf)
const clean = (expected: Expected): number[] => expected.clean.get('t1/a') ?? []
const late = (expected: Expected): [number, string][] =>
  (expected.late.get('t1/a') ?? []).map(({ offset, reason }) => [offset, reason])

describe('the oracle, readings with seq', () => {
  it('passes what is in order, sorts what is early, drops what was there', () => {
    const expected = expectOf(
      raw([
        [0, 1, 0, 10],
        [1, 1, 2, 30],
        [2, 1, 1, 20],
        [3, 1, 2, 30],
        [4, 1, 3, 40],
      ]),
    )
    expect(clean(expected)).toEqual([0, 2, 1, 4])
    expect(expected.duplicates).toEqual([3])
  })

  it('gives a gap up when the first that waits has waited long enough, by whatever arrives', () => {
    const early = raw([
      [0, 1, 0, 10],
      [50, 1, 2, 30],
      [149, 1, 4, 50],
    ])
    expect(expectOf(early).waiting).toEqual([1, 2])
    expect(clean(expectOf([...early, tick(3, 149)]))).toEqual([0])
    expect(clean(expectOf([...early, tick(3, 150)]))).toEqual([0, 1])
    const expected = expectOf([
      ...early,
      tick(3, 150),
      ...raw([
        [0, 1, 0, 10],
        [0, 1, 0, 10],
        [0, 1, 0, 10],
        [0, 1, 0, 10],
        [151, 1, 1, 20],
        [152, 1, 1, 20],
      ]).slice(4),
    ])
    expect(clean(expected)).toEqual([0, 1])
    expect(late(expected)).toEqual([[4, 'late']])
    expect(expected.duplicates).toEqual([5])
    expect(expected.controls).toEqual([3])
    expect(expected.waiting).toEqual([2])
  })

  it('gives a gap up when too many wait', () => {
    expect(
      clean(
        expectOf(
          raw([
            [0, 1, 1, 10],
            [0, 1, 2, 20],
            [0, 1, 3, 30],
          ]),
        ),
      ),
    ).toEqual([])
    expect(
      clean(
        expectOf(
          raw([
            [0, 1, 1, 10],
            [0, 1, 2, 20],
            [0, 1, 3, 30],
            [0, 1, 4, 40],
          ]),
        ),
      ),
    ).toEqual([0, 1, 2, 3])
  })

  it('keeps time increasing over epochs: what does not exceed it is regressed', () => {
    const expected = expectOf(
      raw([
        [0, 1, 0, 10],
        [1, 2, 0, 5],
        [2, 3, 0, 10],
        [3, 2, 1, 11],
      ]),
    )
    expect(clean(expected)).toEqual([0, 3])
    expect(late(expected)).toEqual([
      [1, 'regressed'],
      [2, 'regressed'],
    ])
  })

  it('takes no step back of the broker’s clock for time', () => {
    const expected = expectOf(
      raw([
        [1_000, 1, 0, 10],
        [0, 1, 1, 1_500],
      ]),
    )
    expect(clean(expected)).toEqual([0, 1])
  })

  it('lets a dead-lettered reading take its place', () => {
    const expected = expectOf(
      raw([
        [0, 1, 0, 10],
        [1, 1, 1, 20, NaN],
        [2, 1, 2, 30],
        [3, 1, 1, 20],
        [4, 1, 3, 5_000],
      ]),
    )
    expect(clean(expected)).toEqual([0, 2])
    expect(expected.deadLetters).toEqual([
      { offset: 1, reason: 'METRIC_OUT_OF_BOUNDS' },
      { offset: 4, reason: 'FUTURE_TIME' },
    ])
    expect(expected.duplicates).toEqual([3])
  })
})

describe('the oracle, readings without seq', () => {
  it('holds back by arrival, sorts by event time, tells duplicate, correction and late', () => {
    const rows: Row[] = [
      [0, 0, 0, 20],
      [10, 0, 0, 10],
      [20, 0, 0, 20],
      [30, 0, 0, 20, 21],
      [100, 0, 0, 40],
      [101, 0, 0, 10],
      [102, 0, 0, 10, 9],
      [103, 0, 0, 15],
    ]
    const expected = expectOf(raw(rows))
    expect(clean(expected)).toEqual([1, 0])
    expect(expected.duplicates).toEqual([2, 5])
    expect(late(expected)).toEqual([
      [3, 'correction'],
      [6, 'correction'],
      [7, 'late'],
    ])
    expect(expected.waiting).toEqual([4])
  })
})

describe('the oracle, what is no reading', () => {
  it('names the reason', () => {
    const { key, value } = recordOf(readingOf('a', 1, 0, 10), ID)
    const table: [Buffer | null, Buffer | null, string][] = [
      [null, value, 'NO_KEY'],
      [key, null, 'NO_VALUE'],
      [key, Buffer.from('noise'), 'NOT_FRAMED'],
      [key, encodeFramed(readingType, 7, readingOf('a', 1, 0, 10)), 'UNKNOWN_SCHEMA'],
      [key, value!.subarray(0, -1), 'UNDECODABLE'],
      [Buffer.from('t1/b'), value, 'KEY_MISMATCH'],
    ]
    const expected = expectOf(table.map(([k, v], offset) => ({ offset, arrival: 0, key: k, value: v, headers: {} })))
    expect(expected.deadLetters).toEqual(table.map(([, , reason], offset) => ({ offset, reason })))
  })
})

describe('comparing', () => {
  it('finds nothing where topics are as expected, and each kind of difference', () => {
    const records = raw([
      [0, 1, 0, 10],
      [1, 1, 1, 20],
      [2, 1, 1, 20],
    ])
    const expected = expectOf(records)
    const of = (...offsets: number[]): RawRecord[] => offsets.map((offset) => records[offset])
    const letter = {
      ...records[0],
      headers: { '__connect.errors.offset': '0', '__connect.errors.exception.class.name': 'NO_KEY' },
    }
    expect(differences(records, expected, { clean: of(0, 1), late: [], dlq: [] })).toEqual([])
    expect(differences(records, expected, { clean: of(0), late: [], dlq: [] })).toHaveLength(2)
    expect(differences(records, expected, { clean: of(1, 0), late: [], dlq: [] })).toHaveLength(1)
    expect(differences(records, expected, { clean: of(0, 1, 1), late: [], dlq: [] })).toHaveLength(1)
    expect(differences(records, expected, { clean: of(0, 1), late: of(2), dlq: [] })).toHaveLength(1)
    expect(differences(records, expected, { clean: of(0, 1), late: [], dlq: [letter] })).toHaveLength(1)
  })
})
