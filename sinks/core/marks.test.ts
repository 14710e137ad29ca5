// Marks against a model of the pipeline: records arrive in raw, refine commits and appends, the sink stores, looks
// happen at any time. Whatever the interleaving, everything that had arrived by `through` is stored.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { type Mark, takeLook } from './marks.ts'

const quiet = { rawEnd: 10, refinedTo: 10, end: 7, stored: 7 }

describe('marks', () => {
  it('EM-7: never claim more than is stored, whatever the order of arrival, refining, storing and looking', () => {
    const action = fc.constantFrom('arrive', 'refine', 'markers', 'store', 'look')
    check(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const arrivals: number[] = []
        let now = 0
        let refined = 0
        // What refine has committed may become visible in the topic's end only a moment later, at the next markers.
        const topic: number[] = []
        let visible = 0
        let stored = 0
        let marks: readonly Mark[] = []
        for (const act of actions) {
          now += 1
          if (act === 'arrive') arrivals.push(now)
          else if (act === 'refine') {
            visible = topic.length
            while (refined < arrivals.length) topic.push(arrivals[refined++])
          } else if (act === 'markers') visible = topic.length
          else if (act === 'store') stored = Math.max(stored, Math.floor((stored + visible + 1) / 2))
          else {
            const before = visible
            const look = takeLook(marks, {
              nowMs: now,
              rawEnd: arrivals.length,
              refinedTo: refined,
              end: before,
              stored,
            })
            // Looks are farther apart than commit and markers.
            visible = topic.length
            marks = look.marks
            if (look.throughMs === null) continue
            const missing = arrivals.filter(
              (at, i) => at <= look.throughMs! && (i >= refined || topic.indexOf(at) >= stored),
            )
            expect(missing).toEqual([])
          }
        }
      }),
      500,
    )
  })

  it('EM-7: on a quiet partition `through` follows the clock, two looks behind at most', () => {
    let marks: readonly Mark[] = []
    for (let now = 1; now < 20; now += 1) {
      const look = takeLook(marks, { ...quiet, nowMs: now })
      marks = look.marks
      expect(look.throughMs).toBe(now === 1 ? null : now - 1)
    }
  })

  it('EM-7: under steady load `through` keeps up, though the ends are never reached', () => {
    let marks: readonly Mark[] = []
    let through = 0
    for (let now = 1; now < 50; now += 1) {
      const look = takeLook(marks, {
        nowMs: now,
        rawEnd: 100 * now,
        refinedTo: 100 * now - 30,
        end: 90 * now,
        stored: 90 * now - 60,
      })
      marks = look.marks
      through = look.throughMs ?? through
      if (now > 5) expect(now - through).toBeLessThanOrEqual(4)
    }
  })

  it.each([
    ['refine', { ...quiet, refinedTo: 9 }],
    ['the store', { ...quiet, stored: 6 }],
  ])('EM-7: stand still and stay bounded while %s is stuck, and continue after it', (_name, stuck) => {
    let marks: readonly Mark[] = []
    for (let now = 1; now < 1_000; now += 1) {
      const look = takeLook(marks, { ...stuck, nowMs: now })
      expect(look.throughMs).toBeNull()
      marks = look.marks
      expect(marks.length).toBeLessThanOrEqual(16)
    }
    let through = 0
    for (let now = 1_000; now < 1_005; now += 1) {
      const look = takeLook(marks, { ...quiet, nowMs: now })
      marks = look.marks
      through = look.throughMs ?? through
    }
    expect(through).toBeGreaterThanOrEqual(1_003)
  })
})
