import { describe, expect, it } from 'vitest'
import { InputError } from '../../platform/errors.ts'
import { cursorOf, sensorOfCursor } from './cursor.ts'
import { aggregateRange, checkRange, describeParams, identifierOf, LIMITS, parseParams } from './params.ts'

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
    expect(parseParams('recentById', { id: 's' })).toEqual({ id: 's', limit: 100 })
    expect(parseParams('aggregateBySite', { site: 'x' })).toEqual({ site: 'x', window: 60_000 })
    expect(aggregateRange({ window: 60_000 }, 10_000_000)).toEqual({ from: 6_400_000, to: 10_000_000 })
    expect(aggregateRange({ window: 60_000 }, 9_999_001)).toEqual({ from: 6_400_000, to: 10_000_000 })
  })

  it.each([
    ['recentById', { id: 's', limit: '10001' }, 'limit', '10000'],
    ['recentById', { id: 's', limit: '0' }, 'limit', '1'],
    ['recentById', { id: 's', limit: '1e3' }, 'limit', 'whole number'],
    ['recentById', { id: 's', limit: ['1', '2'] }, 'limit', 'more than once'],
    ['recentById', { id: 'x'.repeat(257) }, 'id', 'id has 257 bytes'],
    ['recentById', { id: '測'.repeat(86) }, 'id', '258 bytes'],
    ['recentById', { id: '' }, 'id', 'empty'],
    ['recentById', {}, 'id', 'id is missing'],
    ['recent', { id: 's' }, 'id', 'there are tenant, limit, max_staleness'],
    ['recentById', { id: 's', limits: '1' }, 'limits', 'not a parameter'],
    ['aggregateBySite', { site: 'x', window: '999ms' }, 'window', '1000 ms'],
    ['aggregateBySite', { site: 'x', window: '2d' }, 'window', '86400000 ms'],
    ['aggregateBySite', { site: 'x', window: '1 m' }, 'window', 'duration'],
    ['aggregateBySite', { site: 'x', from: 'yesterday' }, 'from', 'ISO 8601'],
    ['aggregateBySite', { site: 'x', from: '2026-01-01T00:00:00' }, 'from', 'ISO 8601'],
    ['aggregateBySite', { site: 'x', from: '2026-02-30T00:00:00Z' }, 'from', 'there is no day 2026-02-30'],
    ['anomalies', { to: '2025-02-29T12:00:00+02:00' }, 'to', 'there is no day 2025-02-29'],
    ['anomalies', { to: '2026-13-01T12:00:00Z' }, 'to', 'there is no day'],
    ['anomalies', { from: '2026-01-01T12:00:00 02:00' }, 'from', 'write the zone as %2B02:00'],
    ['anomalies', { from: '2026-02-30' }, 'from', 'ISO 8601'],
    ['anomalies', { from: '2026-01-01T25:00:00Z' }, 'from', 'ISO 8601'],
    ['none', { x: '1' }, 'x', 'there are none'],
    ['aggregateBySite', { site: 'x', metric: 'power_w,"; DROP' }, 'metric', 'power_w'],
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
    expect(parseParams('aggregateBySite', given)).toEqual({
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

  it('security low: a range that ends before it begins is refused', () => {
    for (const range of [
      { from: 6, to: 5 },
      { from: 5, to: 5 },
    ])
      expect(refusal(() => checkRange(range)).field).toBe('from')
    expect(() => checkRange({ from: 5 })).not.toThrow()
    expect(parseParams('anomalies', { from: '2024-02-29T00:00:00Z' }).from).toBe(Date.UTC(2024, 1, 29))
  })

  it('K10: carry any identifier in a cursor that survives being pasted without encoding', () => {
    for (const sensor of ['a/b', '%', '%41', 'ä ?&#+', '..', 'a\0b', '\u{10FFFF}', '']) {
      const at = { tenant: `t/${sensor}`, sensor }
      const cursor = cursorOf(at)
      expect(decodeURIComponent(encodeURIComponent(cursor))).toBe(cursor)
      expect(new URLSearchParams(`after=${cursor}`).get('after')).toBe(cursor)
      expect(parseParams('sensors', { after: cursor }).after).toEqual(at)
    }
    for (const other of ['', 'W10', 'WzEsMl0', 'WyJhIl0', '_w', 'x'.repeat(9_000)])
      expect(sensorOfCursor(other)).toBeNull()
    const longest = { tenant: '\0'.repeat(256), sensor: '\0'.repeat(256) }
    expect(sensorOfCursor(cursorOf(longest))).toEqual(longest)
  })

  it('K5: an identifier of the greatest length that is stored can be asked for', () => {
    for (const id of ['x'.repeat(256), '測'.repeat(85), '.', '..', '%', 'a/b']) expect(identifierOf('id', id)).toBe(id)
    expect(refusal(() => identifierOf('id', 'x'.repeat(257))).message).toMatch(/^id has 257 bytes.* 256/)
  })

  it('are described, each of them', () => {
    for (const kind of [
      'sensors',
      'recentById',
      'aggregateBySite',
      'anomalies',
      'status',
      'cluster',
      'views',
      'wait',
    ] as const)
      for (const { name, description } of describeParams(kind))
        expect(`${kind} ${name}: ${description}`).toMatch(/: .{5}/)
    expect(
      describeParams('recentById')
        .filter(({ required }) => required)
        .map(({ name }) => name),
    ).toEqual(['id'])
  })
})
