// What a task understands of schema ids and GUIDs, what it refuses, and that a replay decides the same.
import { expect, test } from 'vitest'
import { unknownGuidId } from '../../../platform/codec/framing.ts'
import { schemaText } from '../../../schemas/load.ts'
import { Refusals, SchemaPlans } from './plans.ts'

const GUID = '89791762-2336-4186-9674-299b90a802e2'
const UNKNOWN = unknownGuidId(GUID)

function registry(): { plans: SchemaPlans; guids: Map<string, number>; asked: string[]; wait: (ms: number) => void } {
  const guids = new Map<string, number>()
  const asked: string[] = []
  let mono = 0
  const fetch = Object.assign(
    (id: number) => (asked.push(`id ${id}`), Promise.resolve(id === 7 ? schemaText('reading') : null)),
    { idOfGuid: (guid: string) => (asked.push('guid'), Promise.resolve(guids.get(guid) ?? null)) },
  )
  return {
    plans: new SchemaPlans(fetch, { mono: () => mono, sleep: () => Promise.resolve() }),
    guids,
    asked,
    wait: (ms) => void (mono += ms),
  }
}

test('K12: a GUID is asked for once, with the schema behind it', async () => {
  const { plans, guids, asked } = registry()
  guids.set(GUID, 7)
  expect(plans.mustAsk({ guid: GUID })).toBe(true)
  await plans.learnAll([{ guid: GUID }], 0)
  expect([plans.idOfGuid(GUID), plans.get(7) == null, plans.mustAsk({ guid: GUID })]).toEqual([7, false, false])
  await plans.learn({ guid: GUID })
  expect(asked).toEqual(['guid', 'id 7'])
})

test('K12: a GUID that the registry does not know is refused for a while, without asking for the id that stands for it', async () => {
  const { plans, guids, asked, wait } = registry()
  await plans.learn({ guid: GUID })
  expect([plans.idOfGuid(GUID), plans.get(UNKNOWN), plans.mustAsk({ guid: GUID })]).toEqual([UNKNOWN, null, false])
  expect(plans.whyRefused(UNKNOWN)).toBe('the schema registry does not know it')
  wait(30_001)
  guids.set(GUID, 7)
  expect([plans.idOfGuid(GUID), plans.get(UNKNOWN)]).toEqual([undefined, null])
  await plans.learn({ guid: GUID })
  expect([plans.idOfGuid(GUID), asked]).toEqual([7, ['guid', 'guid', 'id 7']])
})

test('K12: what was refused by its GUID is refused in a replay, although the registry has learnt it since', () => {
  const refusals = new Refusals()
  refusals.decide(UNKNOWN, 10, false)
  refusals.decide(UNKNOWN, 20, true)
  const again = Refusals.fromEntries(refusals.entries())
  expect([again.wasRefused(UNKNOWN, 10), again.wasRefused(UNKNOWN, 19), again.wasRefused(UNKNOWN, 20)]).toEqual([
    true,
    true,
    false,
  ])
})
