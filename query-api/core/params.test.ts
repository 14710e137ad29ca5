import { describe, expect, it } from 'vitest'
import { InputError } from '../../platform/errors.ts'
import { aggregateRange, cursorOf, LIMITS, parseParams } from './params.ts'

const refusal = (work: () => unknown): InputError => {
  try {
    work()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
  throw new Error('nothing was refused')
}

describe('parameters', () => {
  it('EM-6: have defaults', () => {
    expect(parseParams('recent', { id: 's' })).toEqual({ id: 's', limit: 100 })
    expect(parseParams('aggregate', { site: 'x' })).toEqual({ site: 'x', window: 60_000 })
    expect(aggregateRange({ window: 60_000 }, 10_000_000)).toEqual({ from: 6_400_000, to: 10_000_000 })
  })

  it.each([
    ['recent', { id: 's', limit: '10001' }, 'limit', '10000'],
    ['recent', { id: 's', limit: '0' }, 'limit', '1'],
    ['recent', { id: 's', limit: '1e3' }, 'limit', 'whole number'],
    ['recent', { id: 's', limit: ['1', '2'] }, 'limit', 'more than once'],
    ['recent', { id: 'x'.repeat(257) }, 'id', '256'],
    ['recent', { id: 's', limits: '1' }, 'limits', 'not a parameter'],
    ['aggregate', { site: 'x', window: '999ms' }, 'window', '1000 ms'],
    ['aggregate', { site: 'x', window: '2d' }, 'window', '86400000 ms'],
    ['aggregate', { site: 'x', window: '1 m' }, 'window', 'duration'],
    ['aggregate', { site: 'x', from: 'yesterday' }, 'from', 'ISO 8601'],
    ['aggregate', { site: 'x', from: '2026-01-01T00:00:00' }, 'from', 'ISO 8601'],
    ['aggregate', { site: 'x', metric: 'power_w,"; DROP' }, 'metric', 'power_w'],
    ['sensors', { after: 'x' }, 'after', 'next'],
    ['sensors', { after: '%/%' }, 'after', 'next'],
    ['anomalies', { max_staleness: '11y' }, 'max_staleness', 'duration'],
  ] as const)('of %s %j are refused, naming %s and the limit', (kind, given, field, limit) => {
    const error = refusal(() => parseParams(kind, given))
    expect(error.field).toBe(field)
    expect(error.message).toContain(field)
    expect(error.message).toContain(limit)
  })

  it('read durations, times and lists of metrics', () => {
    const given = {
      site: 'x',
      window: '5m',
      from: '2026-01-01T00:00:00Z',
      to: '1767229200000',
      metric: ['power_w,energy_wh', 'power_w'],
      max_staleness: '250ms',
    }
    expect(parseParams('aggregate', given)).toEqual({
      site: 'x',
      window: 300_000,
      from: 1_767_225_600_000,
      to: 1_767_229_200_000,
      metric: ['power_w', 'energy_wh'],
      max_staleness: 250,
    })
  })

  it('bound the number of windows, and a range must not be empty or backwards', () => {
    const error = refusal(() => aggregateRange({ from: 0, to: 86_400_000, window: 1_000 }, 0))
    expect(error.field).toBe('window')
    expect(error.message).toContain(String(LIMITS.windows))
    expect(refusal(() => aggregateRange({ from: 5, to: 5, window: 1_000 }, 0)).field).toBe('from')
    expect(() => aggregateRange({ from: 0, to: 86_400_000, window: 60_000 }, 0)).not.toThrow()
  })

  it('carry any identifier in a cursor', () => {
    for (const sensor of ['a/b', '%', 'ä ?&#', '..']) {
      const at = { tenant: `t/${sensor}`, sensor }
      expect(parseParams('sensors', { after: cursorOf(at) }).after).toEqual(at)
    }
  })
})
