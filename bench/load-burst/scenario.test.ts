import { describe, expect, test } from 'vitest'
import { BROWNOUTS, outages, SLICE_MS } from './scenario.ts'

describe('EM-10: the load-burst scenario', () => {
  test('a stall and time-outs are one outage each, errors are away half of the time', () => {
    const away = outages(BROWNOUTS, 1)
    expect(away.slice(0, 2)).toEqual([
      { fromMs: 20_000, toMs: 25_000 },
      { fromMs: 65_000, toMs: 95_000 },
    ])
    const errors = away.slice(2)
    const total = errors.reduce((sum, { fromMs, toMs }) => sum + toMs - fromMs, 0)
    expect(total).toBeGreaterThan(30_000 * 0.25)
    expect(total).toBeLessThan(30_000 * 0.75)
    for (const { fromMs, toMs } of errors) {
      expect(fromMs).toBeGreaterThanOrEqual(105_000)
      expect(toMs).toBeLessThanOrEqual(135_000)
      expect((toMs - fromMs) % SLICE_MS).toBe(0)
    }
  })

  test('the outages rise and never touch, and the same seed gives the same ones', () => {
    const away = outages(BROWNOUTS, 7)
    for (let i = 1; i < away.length; i += 1) expect(away[i].fromMs).toBeGreaterThan(away[i - 1].toMs)
    expect(outages(BROWNOUTS, 7)).toEqual(away)
    expect(outages(BROWNOUTS, 8)).not.toEqual(away)
  })
})
