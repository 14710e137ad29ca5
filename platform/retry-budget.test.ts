import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { fullBudget, retriesWithin, takeRetry } from './retry-budget.ts'

const BUDGET = { burst: 5, perSecond: 0.5 }

describe('EM-5: retry budget', () => {
  it('gives its burst at once and then what time earns', () => {
    let level = fullBudget(BUDGET, 0)
    const waits: number[] = []
    for (let i = 0; i < 7; i += 1) {
      const taken = takeRetry(BUDGET, level, 0)
      level = taken.level
      waits.push(taken.waitMs)
    }
    expect(waits).toEqual([0, 0, 0, 0, 0, 2_000, 4_000])
  })

  it('never earns more than its burst, and nothing by a clock that goes back', () => {
    const later = takeRetry(BUDGET, fullBudget(BUDGET, 0), 1e9)
    expect(later.level.left).toBe(4)
    expect(takeRetry(BUDGET, later.level, 0).level.left).toBe(3)
  })

  it('says what it allows: 35 retries in a minute', () => {
    expect(retriesWithin(BUDGET, 60)).toBe(35)
  })

  it('however soon one asks again, no window holds more retries than it says', () => {
    check(
      fc.property(fc.array(fc.nat(3_000), { minLength: 1, maxLength: 100 }), (pauses) => {
        let level = fullBudget(BUDGET, 0)
        let nowMs = 0
        const retries: number[] = []
        for (const pause of pauses) {
          nowMs += pause
          const taken = takeRetry(BUDGET, level, nowMs)
          level = taken.level
          nowMs += taken.waitMs
          retries.push(nowMs)
        }
        for (const [i, from] of retries.entries()) {
          for (let j = i; j < retries.length; j += 1) {
            const seconds = (retries[j] - from) / 1_000 + 1e-6
            expect(j - i + 1).toBeLessThanOrEqual(retriesWithin(BUDGET, seconds))
          }
        }
      }),
    )
  })
})
