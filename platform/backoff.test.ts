import fc from 'fast-check'
import { expect, test } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { backoffMs } from './backoff.ts'

test('MI-8: a wait is drawn evenly below the doubled base, never above the cap and never 0', () => {
  expect([0, 1, 2, 3, 10].map((attempt) => backoffMs({ baseMs: 100, capMs: 1_000 }, attempt, () => 0.5))).toEqual([
    50, 100, 200, 400, 500,
  ])
  check(
    fc.property(
      fc.integer({ min: 1, max: 10_000 }),
      fc.integer({ min: 1, max: 100_000 }),
      fc.nat(10_000),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (baseMs, capMs, attempt, random) => {
        const wait = backoffMs({ baseMs, capMs }, attempt, () => random)
        expect(wait).toBeGreaterThanOrEqual(1)
        expect(wait).toBeLessThanOrEqual(Math.max(1, capMs))
        expect(wait).toBeLessThanOrEqual(Math.max(1, baseMs * 2 ** attempt))
      },
    ),
  )
})
