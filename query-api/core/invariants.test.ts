import { describe, expect, it } from 'vitest'
import { METRICS } from '../../schemas/metrics.ts'
import { brokenInvariant } from './invariants.ts'

const good = { count: 2, min: 1, max: 3, avg: 2, sum: 4 }
const windowOf = (name: string, fields: object, count = 2) => ({
  start: 0,
  count,
  metrics: { [name]: { ...good, ...fields } },
})

describe('invariants', () => {
  it.each([
    ['a negative count', { start: 0, count: -1, metrics: {} }],
    ['more values than readings', windowOf('power_w', { count: 3 })],
    ['an average below the minimum', windowOf('power_w', { avg: 0.5 })],
    ['an average above the maximum', windowOf('power_w', { avg: 3.5 })],
    ['no number', windowOf('power_w', { avg: NaN })],
    ['negative energy', windowOf('energy_wh', { increase: -1 })],
    ['a value beyond physical bounds', windowOf('humidity_pct', { max: 101, avg: 2 })],
  ])('EM-7: %s is found', (_name, window) => {
    expect(brokenInvariant([windowOf('power_w', {}), window], METRICS)).toMatch(/window 0/)
  })

  it('EM-7: possible values pass', () => {
    expect(brokenInvariant([windowOf('power_w', {}), windowOf('energy_wh', { increase: 0 })], METRICS)).toBeNull()
  })
})
