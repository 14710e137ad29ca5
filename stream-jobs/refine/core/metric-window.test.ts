import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { MetricWindow } from './metric-window.ts'

/** Mean and sample standard deviation in two passes over what the window keeps of its values. */
function bruteForce(values: readonly number[], reference: number): { mean: number; stddev: number } {
  const kept = values.map((value) => Math.fround(value - reference))
  const mean = kept.reduce((sum, value) => sum + value, 0) / kept.length
  const squares = kept.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, stddev: kept.length < 2 ? 0 : Math.sqrt(squares / (kept.length - 1)) }
}

const stateOf = (window: MetricWindow): unknown => [
  window.reference,
  window.mean,
  window.m2,
  window.count,
  window.slides,
  window.peak,
  [...window.samples()],
]

const again = (window: MetricWindow): MetricWindow =>
  MetricWindow.restore({
    reference: window.reference,
    mean: window.mean,
    m2: window.m2,
    slides: window.slides,
    peak: window.peak,
    samples: window.samples(),
  })

/** Values around a level with a spread far below it. */
const signal = fc
  .record({
    level: fc.constantFrom(0, 1, 230, -40, 1e6),
    spread: fc.constantFrom(0.01, 1, 50),
    noise: fc.array(fc.integer({ min: -1_000, max: 1_000 }), { minLength: 1, maxLength: 400 }),
  })
  .map(({ level, spread, noise }) => noise.map((n) => level + (spread * n) / 1_000))

const size = fc.integer({ min: 2, max: 60 })

describe('a metric window', () => {
  test('MI-12: agrees with two passes over the last n values', () => {
    check(
      fc.property(signal, size, (values, n) => {
        const window = new MetricWindow(values[0])
        values.forEach((value, i) => {
          const last = values.slice(Math.max(0, i - n), i)
          expect(window.count).toBe(last.length)
          if (last.length > 1) {
            const { mean, stddev } = bruteForce(last, values[0])
            const scale = Math.max(...last.map((one) => Math.abs(one - values[0])), 1e-9)
            expect(Math.abs(window.mean - mean)).toBeLessThanOrEqual(1e-9 * scale)
            if (stddev > 1e-5 * scale) {
              expect(Math.abs(window.stddev() / stddev - 1)).toBeLessThan(1e-6)
              const z = (Math.fround(value - values[0]) - mean) / stddev
              expect(Math.abs(window.z(value, 2) - z)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(z)))
            }
          }
          window.push(value, n)
        })
      }),
      300,
    )
  })

  test.each([1e3, 1e6, 1e9])('MI-12: is right again as soon as an outlier of %d has left it', (outlier) => {
    const n = 50
    const values = Array.from({ length: 200 }, (_, i) => (i === 60 ? outlier : Math.sin(i * 1.7)))
    const window = new MetricWindow(0)
    values.forEach((value, i) => {
      window.push(value, n)
      if (i < 60 || i >= 60 + n) {
        const { mean, stddev } = bruteForce(values.slice(Math.max(0, i + 1 - n), i + 1), 0)
        if (i > 2) expect(Math.abs(window.stddev() / stddev - 1), `after ${i}`).toBeLessThan(1e-6)
        expect(Math.abs(window.mean - mean), `after ${i}`).toBeLessThan(1e-6)
      }
    })
  })

  test('MI-12: has no spread when its values have none, whatever was in it before', () => {
    const window = new MetricWindow(0.1)
    for (let i = 0; i < 37; i += 1) window.push(Math.sin(i) * 1000, 20)
    for (let i = 0; i < 20; i += 1) window.push(230.1, 20)
    expect(window.stddev()).toBe(0)
    expect(window.z(230.2, 2)).toBe(0)
  })

  test('says nothing before it has the least number of samples', () => {
    const window = new MetricWindow(5)
    for (const value of [5, 6, 7]) {
      expect(window.z(1_000, 3)).toBe(0)
      window.push(value, 10)
    }
    expect(window.z(1_000, 3)).toBeCloseTo(994, 5)
    expect(window.center()).toBeCloseTo(6, 6)
  })

  test('restored in the middle continues bit by bit as the one that never stopped', () => {
    check(
      fc.property(signal, size, fc.nat(), (values, n, cut) => {
        const steady = new MetricWindow(values[0])
        let stopped = new MetricWindow(values[0])
        values.forEach((value, i) => {
          if (i === cut % values.length) stopped = again(stopped)
          steady.push(value, n)
          stopped.push(value, n)
        })
        expect(stateOf(stopped)).toEqual(stateOf(steady))
      }),
      300,
    )
  })

  test('keeps its newest values when it is made smaller, and takes more when it may grow again', () => {
    check(
      fc.property(signal, fc.array(size, { minLength: 1, maxLength: 8 }), (values, sizes) => {
        let window = new MetricWindow(values[0])
        const kept: number[] = []
        values.forEach((value, i) => {
          const n = sizes[Math.floor((i * sizes.length) / values.length)]
          window = window.resized(n)
          while (kept.length > n) kept.shift()
          window.push(value, n)
          kept.push(value)
          if (kept.length > n) kept.shift()
          expect([...window.samples()]).toEqual(kept.map((one) => Math.fround(one - values[0])))
          const { mean, stddev } = bruteForce(kept, values[0])
          const scale = Math.max(...kept.map((one) => Math.abs(one - values[0])), 1e-9)
          expect(Math.abs(window.mean - mean)).toBeLessThanOrEqual(1e-9 * scale)
          expect(Math.abs(window.stddev() - stddev)).toBeLessThanOrEqual(1e-5 * scale)
        })
      }),
      200,
    )
  })
})
