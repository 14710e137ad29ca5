import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { BATCH_ROWS_MAX, BATCH_ROWS_MIN, nextLimit } from './batch-limit.ts'

describe('EM-5: rows per batch', () => {
  it.each([
    ['a full batch in good time earns more', 4_000, { rows: 4_000, tookMs: 90, timeoutMs: 5_000 }, 5_000],
    ['a small batch says nothing of larger ones', 4_000, { rows: 10, tookMs: 1, timeoutMs: 5_000 }, 4_000],
    ['a slow batch halves the next', 4_000, { rows: 10, tookMs: 1_001, timeoutMs: 5_000 }, 2_000],
    ['so does one without an answer', 4_001, { rows: 4_000, tookMs: 5_000, timeoutMs: 5_000 }, 2_000],
    ['never above the most', BATCH_ROWS_MAX, { rows: BATCH_ROWS_MAX, tookMs: 1, timeoutMs: 5_000 }, BATCH_ROWS_MAX],
    ['never below the least', 600, { rows: 600, tookMs: 5_000, timeoutMs: 5_000 }, BATCH_ROWS_MIN],
  ])('%s', (_name, limit, shown, next) => {
    expect(nextLimit(limit, shown)).toBe(next)
  })

  it('stays within its bounds, and full batches in good time bring it back to the most within 20', () => {
    const shown = fc.record({
      rows: fc.nat(30_000),
      tookMs: fc.nat(3_000),
      timeoutMs: fc.integer({ min: 100, max: 60_000 }),
    })
    check(
      fc.property(fc.array(shown), (writes) => {
        let limit = BATCH_ROWS_MAX
        for (const write of writes) {
          limit = nextLimit(limit, write)
          expect(limit).toBeGreaterThanOrEqual(BATCH_ROWS_MIN)
          expect(limit).toBeLessThanOrEqual(BATCH_ROWS_MAX)
        }
        for (let i = 0; i < 20; i += 1) limit = nextLimit(limit, { rows: limit, tookMs: 10, timeoutMs: 5_000 })
        expect(limit).toBe(BATCH_ROWS_MAX)
      }),
    )
  })
})
