// The processes of a run: which ones exist, and how each is assembled from the real services.
import { join } from 'node:path'
import pino from 'pino'
import { Foreign } from './foreign.ts'
import { type RunService, SimProcess } from './process.ts'
import { chance } from './random.ts'
import { LogBackups } from './log-backups.ts'
import { runOperatorService } from './services/operator.ts'
import { Producers } from './services/producers.ts'
import { runRefineService } from './services/refine.ts'
import type { ServiceOptions } from './services/options.ts'
import { runReplicaService } from './services/replica.ts'
import { runSequencerService } from './services/sequencer.ts'
import { NO_STORE_FAULTS, runSinkService } from './services/sink.ts'
import { runTransactor } from './transactor.ts'
import type { World } from './world.ts'

const SEQUENCERS = 2
export const REPLICAS = 3
const POWER_BACK_MS = 1_000

const log = pino({ level: 'silent' })

export const replicaDir = (world: World, number: number): string => join(world.folder, 'replicas', `replica-${number}`)

const numbered = (name: string, count: number): string[] => Array.from({ length: count }, (_, i) => `${name}-${i + 1}`)

/** Adds all processes; nothing runs yet. */
export function populate(world: World): void {
  const { refines, sinks, hasForeign, hasOperator, habits } = world.scenario
  world.add(producersOf(world))
  if (hasForeign || habits.some((habit) => habit !== 'open-transactions')) world.add(foreignOf(world))
  if (habits.includes('open-transactions')) world.add(transactorOf(world))
  if (hasOperator) world.add(operatorOf(world))
  for (const name of numbered('refine', refines)) world.add(refineOf(world, name))
  for (const name of numbered('sequencer', SEQUENCERS)) world.add(sequencerOf(world, name))
  for (const name of numbered('sink', sinks)) world.add(sinkOf(world, name))
  numbered('replica', REPLICAS).forEach((name, i) => world.add(replicaOf(world, name, i + 1)))
}

/** A process and what the world may do to it. */
export interface Part {
  readonly process: SimProcess
  /** Accepts nothing new and drains what it has. */
  readonly leave?: () => void
  /** Readings accepted and not yet delivered. */
  readonly depth?: () => number
  /** Its machine goes down. */
  readonly cutPower?: () => void
  /** Its disk is copied; or, if it was, put back as it was then. */
  readonly copyOrRestore?: () => void
}

const part = (world: World, name: string, run: RunService): Part => ({
  process: new SimProcess(name, world.context(), run),
})

function producersOf(world: World): Part {
  const { config, accepted, bug } = world
  const random = world.random('producers')
  const backups = new LogBackups(world)
  let boots = 1
  let current: Producers | null = null
  const { process } = part(world, 'producers', async (life, kafka) => {
    const producers = new Producers({
      config,
      fleet: world.scenario.fleet,
      kafka,
      life,
      random,
      log,
      accepted,
      boot: `boot-${boots}`,
      bug,
    })
    current = producers
    life.onDeath(() => (current = null))
    const running = producers.run()
    if (!world.faultsAreOn) producers.leave()
    await running
  })
  return {
    process,
    leave: () => current?.leave(),
    depth: () => current?.depth ?? 0,
    cutPower: () => {
      if (current === null) return
      current.cutPower(random)
      boots += 1
      process.kill('by a power cut', POWER_BACK_MS)
    },
    copyOrRestore: () => {
      if (current === null) return
      if (!backups.exist) return backups.take()
      process.kill('and its logs are put back as they were some time ago', POWER_BACK_MS)
      backups.restore()
    },
  }
}

function foreignOf(world: World): Part {
  const { accepted, registry } = world
  const { partitions, habits } = world.scenario
  const random = world.random('foreign')
  const whims = world.random('habits')
  let epoch = 0
  const claimEpoch = (): number => (epoch += 1)
  let current: Foreign | null = null
  const { process } = part(world, 'foreign', async (life, kafka) => {
    current = new Foreign({ life, kafka, random, partitions, accepted, claimEpoch, registry, habits, whims })
    if (!world.faultsAreOn) current.leave()
    await current.run()
  })
  return { process, leave: () => current?.leave(), depth: () => current?.depth ?? 0 }
}

function transactorOf(world: World): Part {
  const { accepted, scenario } = world
  const { partitions } = scenario
  const random = world.random('transactor')
  let seq = 0
  const claimSeq = (): number => (seq += 1)
  const isWorking = (): boolean => world.faultsAreOn
  return part(world, 'transactor', (life, kafka) =>
    runTransactor({ life, kafka, random, partitions, accepted, claimSeq, isWorking }),
  )
}

function operatorOf(world: World): Part {
  const { config, registry } = world
  const random = world.random('operator')
  return part(world, 'operator', (life, kafka) =>
    runOperatorService({
      config,
      kafka,
      life,
      random,
      registry,
      isWorking: () => world.faultsAreOn,
      onWritten: (written) => world.confirmed.push(written),
    }),
  )
}

/** A service with what all of them get. */
function serviceOf(
  world: World,
  name: string,
  run: (common: ServiceOptions, process: SimProcess) => Promise<void>,
): Part {
  const { registry } = world
  const random = world.random(name)
  const made = part(world, name, (life, kafka, signal) =>
    run({ kafka, life, random, log, registry, signal }, made.process),
  )
  return made
}

const refineOf = (world: World, name: string): Part =>
  serviceOf(world, name, (common, process) =>
    runRefineService({ ...common, config: world.config, onStep: stepper(world, process) }),
  )

const sequencerOf = (world: World, name: string): Part =>
  serviceOf(world, name, (common, process) =>
    runSequencerService({ ...common, config: world.config, onStep: stepper(world, process) }),
  )

/** A commit has advanced one step: its process may be killed right here. */
function stepper(world: World, process: SimProcess): (step: string, partition?: number) => void {
  const dice = world.random(`${process.name} steps`)
  return (step, partition) => {
    world.trace.event(process.name, `step ${step}${partition === undefined ? '' : ` of partition ${partition}`}`)
    if (world.faultsAreOn && chance(dice, world.scenario.stepKill)) process.kill(`after ${step}`)
  }
}

const sinkOf = (world: World, name: string): Part =>
  serviceOf(world, name, (common, process) =>
    runSinkService({
      ...common,
      config: world.config,
      faults: () => (world.faultsAreOn ? world.scenario.store : NO_STORE_FAULTS),
      kill: (why) => process.kill(why),
    }),
  )

const replicaOf = (world: World, name: string, number: number): Part =>
  serviceOf(world, name, (common) => runReplicaService({ ...common, dir: replicaDir(world, number) }))
