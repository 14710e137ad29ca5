import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readingType } from '../../../platform/codec/reading.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { check } from '../../../test/fixtures/property.ts'
import { Generator } from './generator.ts'

const START_MS = 1_800_000_000_000

const make = (seed: number, anomalies = 0.01): Generator =>
  new Generator({ seed, nodeId: 'node-0001', sensors: 10, firstSensor: 0, anomalies })

function bytesOf(generator: Generator, rounds: number): Buffer {
  const parts: Buffer[] = []
  for (let round = 0; round < rounds; round += 1)
    for (let sensor = 0; sensor < 10; sensor += 1)
      parts.push(readingType.toBuffer(generator.sample(sensor, START_MS + round * 100, round * 100)))
  return Buffer.concat(parts)
}

describe('the generator (TA-1, EM-1)', () => {
  test('the same seed gives the same bytes, another seed others', () => {
    check(
      fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (seed) => {
        const bytes = bytesOf(make(seed), 20)
        expect(bytesOf(make(seed), 20).equals(bytes)).toBe(true)
        expect(bytesOf(make(seed + 1), 20).equals(bytes)).toBe(false)
      }),
      20,
    )
  })

  test('every value is within the bounds of its metric, outliers too, and each sensor names site, tenant and tags', () => {
    const generator = make(3, 0.2)
    for (let i = 0; i < 3_000; i += 1) {
      const reading = generator.sample(i % 10, START_MS + i * 60_000, i)
      const given = METRICS.filter(({ name }) => reading[name] != null)
      expect(given.length).toBeGreaterThan(0)
      for (const { name, min, max } of given) {
        expect(reading[name], name).toBeGreaterThanOrEqual(min)
        expect(reading[name], name).toBeLessThanOrEqual(max)
      }
      expect(reading.site_id && reading.tenant_id && reading.tags.kind).toBeTruthy()
    }
  })

  test('outliers are labelled, as many as asked for, and stand out', () => {
    const generator = make(5, 0.01)
    const calm: number[] = []
    const spikes: number[] = []
    let labelled = 0
    for (let i = 0; i < 20_000; i += 1) {
      const { tags, power_w } = generator.sample(0, START_MS + i * 100, i)
      if (tags.anomaly_type !== undefined) labelled += 1
      if (tags.anomaly_type === 'spike') spikes.push(power_w as number)
      if (tags.anomaly_type === undefined) calm.push(power_w as number)
    }
    expect(labelled / 20_000).toBeGreaterThan(0.007)
    expect(labelled / 20_000).toBeLessThan(0.013)
    expect(Math.min(...spikes)).toBeGreaterThan(Math.max(...calm))
  })

  test('the energy meter never decreases, over a restart neither', () => {
    let last = -1
    for (let restart = 0; restart < 20; restart += 1) {
      const generator = make(9, 0.1)
      for (let i = 0; i < 200; i += 1) {
        const { energy_wh } = generator.sample(0, START_MS + (restart * 200 + i) * 300_000, i)
        expect(energy_wh).toBeGreaterThanOrEqual(last)
        last = energy_wh as number
      }
    }
  })
})
