import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { check } from '../../../test/fixtures/property.ts'
import { Counter, Gauge, Histogram } from '../../../platform/metrics.ts'
import { Registry } from 'prom-client'
import { bucketIncrease, increase, mergeBuckets, parseExposition, quantile, shareBeyond, sum } from './exposition.ts'

describe('reading what prom-client writes', () => {
  it('finds counters, gauges and labels, whatever the labels hold', async () => {
    const registry = new Registry()
    registry.setDefaultLabels({ service: 'sinks' })
    const counter = new Counter({ name: 'rows_total', help: 'Rows.', labelNames: ['topic'], registers: [registry] })
    const gauge = new Gauge({ name: 'lag', help: 'Lag.', registers: [registry] })
    counter.inc({ topic: 'a' }, 3)
    counter.inc({ topic: 'quote " comma , brace } and \\ line\nend' }, 4)
    gauge.set(-1.5)
    const read = parseExposition(await registry.metrics())
    expect(sum(read, 'rows_total')).toBe(7)
    expect(sum(read, 'rows_total', { topic: 'a' })).toBe(3)
    expect(sum(read, 'rows_total', { topic: 'quote " comma , brace } and \\ line\nend' })).toBe(4)
    expect(sum(read, 'lag', { service: 'sinks' })).toBe(-1.5)
    expect(sum(read, 'absent')).toBe(0)
  })

  it('skips lines that are no samples', () => {
    expect(parseExposition('# HELP x y\n\nnonsense\nx 1\n').size).toBe(1)
  })
})

describe('growth of a counter', () => {
  const at = (value: number) => parseExposition(`rows_total ${value}\n`)

  it('is the difference, and counts from 0 when the process has restarted', () => {
    expect(increase(at(10), at(15), 'rows_total')).toBe(5)
    expect(increase(at(10), at(4), 'rows_total')).toBe(4)
  })

  it('is 0 where there is no earlier reading: what came before is not of this span', () => {
    expect(increase(undefined, at(15), 'rows_total')).toBe(0)
  })
})

describe('quantiles', () => {
  const observed = async (values: readonly number[]) => {
    const registry = new Registry()
    const histogram = new Histogram({ name: 'd', help: 'D.', buckets: [0.1, 0.2, 0.5, 1, 2, 5], registers: [registry] })
    for (const value of values) histogram.observe(value)
    return parseExposition(await registry.metrics())
  }

  it('are in the bucket of the observation that they ask for', async () => {
    const none = await observed([])
    const values = [0.05, 0.05, 0.15, 0.3, 0.3, 0.3, 0.7, 0.7, 1.5, 3]
    const buckets = bucketIncrease(none, await observed(values), 'd')
    expect(quantile(buckets, 0.5)).toBeGreaterThan(0.2)
    expect(quantile(buckets, 0.5)).toBeLessThanOrEqual(0.5)
    expect(quantile(buckets, 0.99)).toBeGreaterThan(2)
    expect(quantile(buckets, 0.99)).toBeLessThanOrEqual(5)
  })

  it('leave out what is above the last bound, and its share is told', async () => {
    const buckets = bucketIncrease(await observed([]), await observed([0.05, 0.05, 0.05, 60]), 'd')
    expect(quantile(buckets, 0.99)).toBeLessThanOrEqual(0.1)
    expect(shareBeyond(buckets)).toBe(0.25)
  })

  it('are unknown without observations', async () => {
    const none = await observed([])
    expect(quantile(bucketIncrease(none, none, 'd'), 0.5)).toBeNull()
    expect(quantile([], 0.5)).toBeNull()
    expect(shareBeyond([])).toBe(0)
  })

  it('never fall as q rises, nor leave the bounds', () => {
    const growths = fc.array(fc.nat(1_000), { minLength: 7, maxLength: 7 })
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    check(
      fc.property(growths, share, share, (counts, a, b) => {
        const bounds = [0.1, 0.2, 0.5, 1, 2, 5, Infinity]
        let running = 0
        const buckets = bounds.map((bound, i) => [bound, (running += counts[i])] as const)
        const low = quantile(buckets, Math.min(a, b))
        const high = quantile(buckets, Math.max(a, b))
        if (low === null || high === null) return low === high
        return low <= high && low >= 0 && high <= 5
      }),
    )
  })

  it('of several processes are taken over all of them', () => {
    const one = [
      [1, 3],
      [Infinity, 4],
    ] as const
    const other = [
      [1, 1],
      [Infinity, 1],
    ] as const
    expect(mergeBuckets([one, other])).toEqual([
      [1, 4],
      [Infinity, 5],
    ])
  })
})
