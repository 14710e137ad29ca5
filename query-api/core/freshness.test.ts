import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { cacheHeaders, completenessOf, countSeqs, dataThrough, judge } from './freshness.ts'

const row = (topic: string, partition: number, throughMs: number | null) => ({
  topic,
  partition,
  offset: 1,
  throughMs,
  eventMs: null,
})

describe('freshness', () => {
  it('EM-7: data_through is the least over all partitions of all topics', () => {
    const rows = [row('a', 0, 50), row('a', 1, 40), row('b', 0, 45), row('b', 1, 60), row('other', 0, 1)]
    expect(dataThrough(rows, ['a', 'b'])).toBe(40)
  })

  it('EM-7: data_through is not known while a partition is unknown, has no row yet, or nothing is there', () => {
    expect(dataThrough([row('a', 0, 50), row('a', 1, null)], ['a'])).toBeNull()
    expect(dataThrough([row('a', 0, 50), row('a', 1, 50), row('b', 0, 50)], ['a', 'b'])).toBeNull()
    expect(dataThrough([], ['a'])).toBeNull()
  })

  it('EM-7: an answer beyond the bound, or of unknown staleness, is never fresh; the fields agree with each other', () => {
    check(
      fc.property(fc.nat(1e6), fc.option(fc.nat(1e6)), fc.nat(1e6), (asOf, through, bound) => {
        const verdict = judge(asOf, through, null, bound)
        if (through === null) expect(verdict).toEqual({ fresh: false, stalenessMs: null })
        else if (verdict.fresh) {
          const { as_of, data_through, staleness_ms } = verdict.freshness
          expect(as_of - data_through).toBe(staleness_ms)
          expect(staleness_ms).toBeGreaterThanOrEqual(0)
          expect(staleness_ms).toBeLessThanOrEqual(bound)
        } else expect(asOf - through).toBeGreaterThan(bound)
      }),
    )
  })

  it('EM-7: a cache that obeys Age and Cache-Control never serves beyond the bound', () => {
    check(
      fc.property(fc.nat(100_000), fc.nat(100_000), (staleness, bound) => {
        const { age, cacheControl } = cacheHeaders(staleness, bound)
        const maxAge = Number(/max-age=(\d+)/.exec(cacheControl)?.[1] ?? -1)
        // It may keep the answer for max-age − Age seconds more.
        if (maxAge >= 0) expect(staleness + (maxAge - Number(age)) * 1000).toBeLessThanOrEqual(bound)
        expect(Number(age) * 1000).toBeGreaterThanOrEqual(staleness)
      }),
    )
  })

  it('EM-7: completeness is present / expected per epoch, and null where nothing is numbered', () => {
    expect(completenessOf(countSeqs([{ epoch: 0, seq: 0 }]))).toBeNull()
    expect(completenessOf(countSeqs([]))).toBeNull()
    const rows = [0, 1, 3].map((seq) => ({ epoch: 1, seq })).concat([7, 8].map((seq) => ({ epoch: 2, seq })))
    expect(completenessOf(countSeqs(rows))).toBeCloseTo(5 / 6)
    expect(completenessOf({ present: 9, expected: 8 })).toBe(1)
  })
})
