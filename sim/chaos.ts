// What happens to a world from outside while it runs: one event after another, at times and to processes drawn from the
// seed.
import { NODES, SNAPSHOTS } from '../schemas/topics.ts'
import type { CallName, FaultKind } from './broker/faults.ts'
import type { SimProcess } from './process.ts'
import { pick, type Random, whole } from './random.ts'
import type { Chaos } from './scenario.ts'
import type { World } from './world.ts'

const FROZEN_MS_MAX = 6_000
const BROKER_DOWN_MS_MAX = 3_000
const AWAY_MS_MAX = 2_000
const STEP_MS_MAX = 20_000
const SKIPPED_MAX = 15
/** Not the configuration topic: the checks need every version of it. */
const COMPACTED = [SNAPSHOTS, NODES]
const CALLS: readonly CallName[] = ['Produce', 'InitProducerId', 'AddPartitionsToTxn', 'TxnOffsetCommit', 'EndTxn']
const ENDS: readonly FaultKind[] = ['lose-answer', 'reject', 'delay']

/** Runs for the scenario's load. */
export async function makeChaos(world: World): Promise<void> {
  const { clock, scenario } = world
  const random = world.random('chaos')
  const end = clock.mono() + scenario.loadMs
  for (;;) {
    const next = -Math.log(1 - random()) * scenario.chaosEveryMs
    if (clock.mono() + next >= end) break
    await clock.sleep(next)
    strike(world, pick(random, scenario.chaos), random)
  }
  await clock.sleep(Math.max(0, end - clock.mono()))
}

function strike(world: World, chaos: Chaos, random: Random): void {
  const { clock, trace, broker, registry } = world
  const { process } = pick(random, world.parts)
  switch (chaos) {
    case 'kill':
      return process.kill('', whole(random, 50, 4_000))
    case 'kill-at-request':
      return killAtRequest(world, process, random)
    case 'stop':
      // Only these have anything to stop.
      return /^(refine|sequencer|sink|replica)/.test(process.name) ? process.stop() : undefined
    case 'freeze':
      process.freeze()
      void clock.sleep(whole(random, 100, FROZEN_MS_MAX)).then(() => process.thaw())
      return
    case 'restart-broker': {
      const downMs = whole(random, 100, BROKER_DOWN_MS_MAX)
      trace.fault('broker', `restarts within ${downMs} ms`)
      void broker.restart(downMs)
      return
    }
    case 'power-cut':
      for (const { cutPower } of world.parts) cutPower?.()
      return
    case 'registry-away':
      trace.fault('registry', 'is away')
      registry.isAway = true
      void clock.sleep(whole(random, 100, AWAY_MS_MAX)).then(() => (registry.isAway = false))
      return
    case 'compact':
      trace.fault('broker', 'compacts')
      for (const topic of COMPACTED) broker.compact(topic)
      return
    case 'restore-logs':
      for (const { copyOrRestore } of world.parts) copyOrRestore?.()
      return
    case 'clock-step': {
      const stepMs = whole(random, -STEP_MS_MAX, STEP_MS_MAX)
      trace.fault('clock', `steps by ${stepMs} ms`)
      clock.wallOffsetMs += stepMs
      return
    }
  }
}

/** The process dies just before sending one of its next requests. */
function killAtRequest(world: World, process: SimProcess, random: Random): void {
  const call = pick(random, CALLS)
  world.trace.fault(process.name, `is to die at a ${call}`)
  world.broker.script({
    when: { call, client: process.name },
    then: pick(random, ENDS),
    skip: whole(random, 0, SKIPPED_MAX),
    onFire: () => {
      if (world.faultsAreOn) process.kill(`at a ${call}`)
    },
  })
}
