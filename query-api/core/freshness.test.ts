import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import {
  cacheHeaders,
  completenessOf,
  dataThrough as throughOf,
  describeFreshness,
  judge,
  partitionsBehind,
  partitionsFor,
} from './freshness.ts'

const row = (topic: string, partition: number, throughMs: number | null) => ({
  topic,
  partition,
  offset: 1,
  throughMs,
  eventMs: null,
})

const dataThrough = (rows: ReturnType<typeof row>[], topics: string[], sensor: string | null = null): number | null =>
  throughOf(partitionsFor(rows, topics, sensor === null ? null : { tenant: 't', sensor }))

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

  it('K2: what is asked of one sensor depends on its partition only, and the partitions that hold an answer back are named', () => {
    const rows = [0, 1, 2].flatMap((partition) => ['a', 'b'].map((topic) => row(topic, partition, 1_000 + partition)))
    // Kafka's murmur2 of t/x, t/y, t/z over 3 partitions.
    const throughs = ['x', 'y', 'z', 'v', 'w'].map((sensor) => dataThrough(rows, ['a', 'b'], sensor))
    expect(new Set(throughs)).toEqual(new Set([1_000, 1_001, 1_002]))
    const held = rows.map((one) => (one.partition === 1 && one.topic === 'b' ? { ...one, throughMs: 10 } : one))
    const fresh = ['x', 'y', 'z', 'v', 'w'].filter((sensor) => dataThrough(held, ['a', 'b'], sensor) !== 10)
    expect(fresh).toEqual(['x', 'y', 'z', 'v', 'w'].filter((_, i) => throughs[i] !== 1_001))
    const all = partitionsFor(held, ['a', 'b'], null)
    expect(partitionsBehind(all, 1_010, 100)).toEqual([{ topic: 'b', partition: 1, staleness_ms: 1_000 }])
    expect(describeFreshness(all, 1_010, 100)).toBe('1000 ms stale; behind: b/1 by 1000 ms')
    expect(describeFreshness(all, 1_010, 1_000)).toBe('1000 ms stale')
    expect(partitionsBehind(partitionsFor([row('a', 1, 5)], ['a'], null), 5, 0)).toEqual([
      { topic: 'a', partition: 0, staleness_ms: null },
    ])
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

  it('EM-7: completeness is present / expected, at most 1, and null where nothing is numbered', () => {
    expect(completenessOf({ present: 0, expected: 0 })).toBeNull()
    expect(completenessOf({ present: 5, expected: 6 })).toBeCloseTo(5 / 6)
    expect(completenessOf({ present: 9, expected: 8 })).toBe(1)
  })
})
