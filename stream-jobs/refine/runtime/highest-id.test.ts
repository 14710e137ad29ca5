// security 5: garbage that names many schema ids costs the registry one request now and then, not one each; and what was
// decided about an id is decided again in a replay, whatever the registry has learnt since.
import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { schemaText } from '../../../schemas/load.ts'
import { check } from '../../../test/fixtures/property.ts'
import type { SchemaName } from '../../../platform/codec/framing.ts'
import { Refusals, SchemaPlans } from './plans.ts'

/** A registry with ids 1 to `highest`, and a clock that moves only where somebody sleeps. */
function registry(highest: number) {
  const asked: (number | 'highest')[] = []
  const state = { highest, asked, now: 1_000 }
  const clock = {
    mono: () => state.now,
    sleep: (ms: number) => {
      state.now += ms
      return Promise.resolve()
    },
  }
  const fetch = (id: number): Promise<string | null> => {
    asked.push(id)
    return Promise.resolve(id <= state.highest ? schemaText('reading') : null)
  }
  const fetchHighest = (): Promise<number> => {
    asked.push('highest')
    return Promise.resolve(state.highest)
  }
  return { state, clock, fetch, fetchHighest, plans: new SchemaPlans(fetch, clock, fetchHighest) }
}

const named = (ids: readonly number[]): SchemaName[] => ids.map((id) => ({ id }))

describe('security 5: schema ids above the registry’s greatest', () => {
  test('are refused by one request, however many there are', async () => {
    const { plans, state } = registry(9)
    const ids = Array.from({ length: 20_000 }, (_, i) => 1_000 + i)
    await plans.learnAll(named(ids), state.now)
    expect(state.asked).toEqual(['highest'])
    expect(ids.every((id) => plans.above(id, state.now) === 9)).toBe(true)
    expect(plans.whyRefused(1_000)).toBe('the schema registry has no id above 9')
  })

  test('are asked about again for records that were fetched later, since one may have been registered before they were sent', async () => {
    const { plans, state } = registry(9)
    await plans.learnAll(named([10, 11]), state.now)
    state.now += 1
    state.highest = 10
    expect(plans.above(10, state.now)).toBe(null)
    await plans.learnAll(named([10, 11]), state.now)
    expect(plans.get(10)).not.toBe(undefined)
    expect(plans.get(10)).not.toBe(null)
    expect(state.asked).toEqual(['highest', 'highest', 10])
    // Not more often than that, however many ask.
    expect(state.now).toBeGreaterThanOrEqual(1_250)
  })

  test('are asked for one by one where the registry does not list its schemas, or fails to', async () => {
    const { fetch, clock, state } = registry(9)
    const plans = new SchemaPlans(fetch, clock, () => Promise.reject(new Error('403')))
    await plans.learnAll(named([9, 10]), state.now)
    expect(state.asked.toSorted()).toEqual([10, 9])
    expect([plans.get(9) === null, plans.get(10)]).toEqual([false, null])
  })
})

describe('what was decided about ids', () => {
  const steps = fc.array(fc.record({ id: fc.nat(12), grows: fc.boolean(), isListed: fc.boolean() }), { maxLength: 60 })

  test('is decided again by what is stored beside the offset, in few entries', () => {
    check(
      fc.property(steps, (script) => {
        const live = new Refusals()
        let highest = 3
        let grown = 0
        const decided = script.map(({ id, grows, isListed }, offset) => {
          if (grows && highest < 12) {
            highest += 1
            grown += 1
          }
          const isAccepted = id <= highest
          live.decide(id, offset, isAccepted, !isAccepted && isListed ? highest : null)
          return !isAccepted
        })
        const restored = Refusals.fromEntries(live.entries(), live.above)
        script.forEach(({ id }, offset) =>
          expect([offset, restored.wasRefused(id, offset)]).toEqual([offset, decided[offset]]),
        )
        expect(live.above.length).toBeLessThanOrEqual(2 * (grown + 1))
      }),
      500,
    )
  })
})
