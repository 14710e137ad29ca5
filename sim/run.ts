// One run: a seed becomes a scenario, the scenario a world; the world runs under faults, is healed, must settle, and is
// checked. The same seed gives the same run, event by event.
import { type Failure, checkAll } from './checks/all.ts'
import { type Bug, NO_BUG } from './bug.ts'
import { makeChaos } from './chaos.ts'
import { checkStopped, cutUnread } from './cut.ts'
import { watchFreshness } from './freshness.ts'
import { inFolder } from './folder.ts'
import { scenarioOf } from './scenario.ts'
import { settle } from './settle.ts'
import { World } from './world.ts'

/** About ten times what a run needs. */
const EVENTS_MAX = 2_000_000

export interface RunOptions {
  readonly keepTrace?: boolean
  readonly bug?: Bug
  /** Damages what a settled run has left behind, before it is checked. */
  readonly plant?: (world: World) => void | Promise<void>
}

export interface Outcome {
  readonly seed: number
  readonly failures: readonly Failure[]
  /** Hash of everything that happened. */
  readonly hash: string
  readonly faults: readonly string[]
  readonly trace: readonly string[]
  readonly readings: number
  readonly events: number
  readonly virtualMs: number
  /** Rare events that happened. */
  readonly sights: readonly string[]
}

export function runSeed(seed: number, { keepTrace = false, bug = NO_BUG, plant }: RunOptions = {}): Promise<Outcome> {
  return inFolder(async (folder) => {
    const world = new World({ scenario: scenarioOf(seed), folder, keepTrace, bug })
    const { clock, trace, accepted, sights } = world
    const endWatch = watchFreshness(world)
    try {
      const failures = await clock.run(live(world, plant), EVENTS_MAX).catch((error: unknown) => [broken(error)])
      return {
        seed,
        failures,
        hash: trace.hash,
        faults: trace.faults,
        trace: trace.lines,
        readings: accepted.owed.size,
        events: clock.events,
        virtualMs: clock.mono(),
        sights: [...sights],
      }
    } finally {
      world.dispose()
      await endWatch()
    }
  })
}

async function live(world: World, plant: RunOptions['plant']): Promise<Failure[]> {
  await world.begin()
  await Promise.all([makeChaos(world), cutUnread(world)])
  world.heal()
  const stopped = world.removals.length > 0 ? await checkStopped(world) : null
  if (stopped !== null) return stopped
  const moving = await settle(world)
  const problems = [
    ...world.problems.map((problem) => ({ check: 'no error without a cause', problem })),
    ...world.falseClaims.map((problem) => ({ check: 'freshness tells the truth', problem })),
  ]
  if (moving !== null) return [...problems, { check: 'it comes to rest', problem: moving }]
  await plant?.(world)
  return [...problems, ...(await checkAll(world))]
}

const broken = (error: unknown): Failure => ({
  check: 'the run comes to its end',
  problem: error instanceof Error ? (error.stack ?? error.message) : String(error),
})
