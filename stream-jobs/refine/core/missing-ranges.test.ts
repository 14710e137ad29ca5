import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { MissingRanges } from './missing-ranges.ts'

/** As a lane uses them: asked first, and filled by what is late. */
function filled(ranges: MissingRanges, seq: number): boolean {
  const isMissing = ranges.has(seq)
  if (isMissing) ranges.take(seq)
  return isMissing
}

/** Either the next seqs pass and then a gap is given up, or a seq from below is asked for. */
type Step = { pass: number; gap: number } | { ask: number }
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ pass: fc.integer({ min: 1, max: 4 }), gap: fc.integer({ min: 1, max: 5 }) }),
  fc.record({ ask: fc.nat() }),
)

describe('missing ranges', () => {
  test('answer as a set of seqs does', () => {
    check(
      fc.property(fc.array(step, { maxLength: 200, size: 'max' }), (script) => {
        const ranges = new MissingRanges()
        const model = new Set<number>()
        const answers: boolean[] = []
        let next = 0
        for (const one of script) {
          if ('ask' in one) {
            if (next > 0) answers.push(filled(ranges, one.ask % next) === model.delete(one.ask % next))
          } else {
            const first = next + one.pass
            for (let seq = first; seq < first + one.gap; seq += 1) model.add(seq)
            ranges.add(first, first + one.gap - 1)
            next = first + one.gap
          }
        }
        const held = new MissingRanges(ranges.bounds(), ranges.horizon)
        for (let seq = 0; seq < next; seq += 1) answers.push(filled(held, seq) === model.has(seq))
        expect(answers.indexOf(false)).toBe(-1)
        expect(held.bounds()).toEqual([])
      }),
      300,
    )
  })

  test('forget the lowest beyond 256 ranges; below the horizon everything counts as given up', () => {
    const ranges = new MissingRanges()
    for (let i = 0; i < 300; i += 1) ranges.add(10 * i, 10 * i + 4)
    expect(ranges.bounds()).toHaveLength(512)
    expect(ranges.horizon).toBe(10 * 43 + 5)
    expect([filled(ranges, 0), filled(ranges, 7), filled(ranges, 434)]).toEqual([true, true, true])
    expect([filled(ranges, 437), filled(ranges, 442), filled(ranges, 442)]).toEqual([false, true, false])
    expect(ranges.bounds()).toHaveLength(512) // 442 split its range, so the lowest was forgotten
    expect(ranges.horizon).toBe(442)
  })

  test('do not change by being asked', () => {
    const ranges = new MissingRanges([3, 5, 9, 9], 1)
    for (let seq = 0; seq < 12; seq += 1) ranges.has(seq)
    expect(ranges.bounds()).toEqual([3, 5, 9, 9])
  })

  test('hold a gap of any size in two numbers', () => {
    const ranges = new MissingRanges()
    ranges.add(0, 2 ** 52)
    expect(filled(ranges, 2 ** 51)).toBe(true)
    expect(filled(ranges, 2 ** 51)).toBe(false)
    expect(ranges.bounds()).toEqual([0, 2 ** 51 - 1, 2 ** 51 + 1, 2 ** 52])
  })

  test('do not change with the array that they were made from', () => {
    const bounds = [1, 2]
    const ranges = new MissingRanges(bounds)
    bounds.push(5, 6)
    expect(filled(ranges, 5)).toBe(false)
  })
})
