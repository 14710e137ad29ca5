// Refine under load while its processes are killed, frozen, added and stopped, and while the broker is killed. Whatever
// happens, the topics must hold what the oracle computes from raw. Another seed: FAULT_SEED=….
import { setTimeout as delay } from 'node:timers/promises'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LoadRecord, makeLoad } from '../fixtures/load.ts'
import { feed, QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)
const random = xoroshiro128plus(SEED)
const between = (from: number, to: number): number => uniformInt(random, from, to)
/** What a task logs when its transaction failed or was fenced. */
const IN_DOUBT = 'a transaction is in doubt'
const OWNED = 'owned and restored'

let stack: Stack

beforeAll(async () => {
  stack = await startStack(4)
})
afterAll(() => stack?.stop())

describe(`refine under kills (FAULT_SEED=${SEED})`, () => {
  const startMs = Date.now() - 600_000
  const load = (prefix: string, readingsPerSensor: number): LoadRecord[] =>
    makeLoad({ seed: between(1, 1e6), sensors: 16, readingsPerSensor, schemaId: stack.readingId, startMs, prefix })

  it('EM-3: five SIGKILLs at random times of two processes that share the partitions', async () => {
    const feeding = feed(stack, load('kill', 350))
    let processes = await Promise.all([stack.startRefine(), stack.startRefine()])
    for (let kills = 0; kills < 5; kills += 1) {
      await delay(between(100, 900))
      const [victim, other] = kills % 2 === 0 ? processes : processes.toReversed()
      await victim.kill()
      processes = [other, await stack.startRefine()]
    }
    await feeding
    await settled(stack)
    expect((await verify(stack)).problems).toEqual([])
    await Promise.all(processes.map((service) => service.stop()))
  })

  it('EM-3: the broker is killed twice and comes back on the same data', async () => {
    const refine = await stack.startRefine()
    for (let kills = 0; kills < 2; kills += 1) {
      const feeding = feed(stack, load(`broker${kills}`, 100))
      await delay(between(300, 900))
      await stack.broker.kill()
      await stack.broker.restart()
      await feeding
    }
    await settled(stack)
    expect((await verify(stack)).problems).toEqual([])
    expect(refine.isRunning()).toBe(true)
    await refine.stop()
  })

  it.each(['outputs-sent', 'offset-sent'])(
    'EM-3: a process that is frozen at "%s" past its session is fenced when it continues, and does not fence its successor',
    async (step) => {
      const zombie = await stack.processes.start({
        main: 'test/faults/refine-entry.ts',
        env: stack.env({ ...QUICK, CRASH_STEP: step, CRASH_AFTER: '6', CRASH_SIGNAL: 'SIGSTOP' }),
        ready: { output: OWNED },
      })
      await feed(stack, load(`frozen-${step}`, 60))
      const successor = await stack.startRefine()
      await settled(stack)
      expect(zombie.output(), 'it hung in the middle, so its transaction cannot have failed yet').not.toContain(
        IN_DOUBT,
      )
      zombie.thaw()
      await feed(stack, load(`thawed-${step}`, 60))
      await settled(stack)
      expect(zombie.output()).toContain(IN_DOUBT)
      expect(successor.output()).not.toContain(IN_DOUBT)
      expect((await verify(stack)).problems).toEqual([])
      await Promise.all([zombie.stop(), successor.stop()])
    },
  )

  it('EM-3: processes join and leave under load', async () => {
    const feeding = feed(stack, load('join', 350))
    const first = await stack.startRefine()
    const second = await stack.startRefine()
    const third = await stack.startRefine()
    expect(await first.stop()).toBe(0)
    const fourth = await stack.startRefine()
    expect(await second.stop()).toBe(0)
    await feeding
    await settled(stack)
    expect((await verify(stack)).problems).toEqual([])
    expect(await Promise.all([third.stop(), fourth.stop()])).toEqual([0, 0])
  })
})
