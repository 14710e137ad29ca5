// The workaround for danger 6 in a whole refine process: its client's consumer ends for good because the network loses
// FindCoordinator during a rebalance; the member is created again, and nothing is lost or doubled.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { makeLoad } from '../fixtures/load.ts'
import { feed, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { FIND_COORDINATOR } from '../fixtures/kafka-proxy.ts'
import { verify } from '../oracle/verify.ts'

const REBUILT = 'has ended; recreating it'

let stack: Stack

beforeAll(async () => {
  stack = await startStack(2, 'proxy')
})
afterAll(() => stack?.stop())

it('danger 6: refine survives the end of its consumer', async () => {
  const proxy = stack.proxy!
  const survivor = await stack.startRefine()
  const other = await stack.startRefine()
  const load = makeLoad({
    seed: 1,
    sensors: 10,
    readingsPerSensor: 150,
    schemaId: stack.readingId,
    startMs: Date.now() - 60_000,
  })
  const feeding = feed(stack, load)
  const before = proxy.fired(FIND_COORDINATOR)
  proxy.decide((apiKey) => (apiKey === FIND_COORDINATOR ? 'cut' : 'pass'))
  await other.kill()
  while (!survivor.output().includes(REBUILT)) await delay(50)
  expect(proxy.fired(FIND_COORDINATOR)).toBeGreaterThan(before)
  proxy.decide(null)
  await feeding
  await settled(stack)
  expect((await verify(stack)).problems).toEqual([])
  expect(survivor.isRunning()).toBe(true)
  expect(await survivor.stop()).toBe(0)
})
