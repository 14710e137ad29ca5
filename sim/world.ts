// The world of one run: the broker, the registry, and the processes of the pipeline with their supervisors, all on one
// virtual clock. It knows how to begin, how to come to rest after the faults have ended, and when it has.
import pino from 'pino'
import type { Config } from '../platform/config.ts'
import type { Admin, Kafka } from '../platform/kafka/port.ts'
import { SqliteStore } from '../platform/store/sqlite.ts'
import { ANOMALIES, CLEAN, LATE, RAW, TOPICS } from '../schemas/topics.ts'
import { commitMetadata, LEDGER_NAMES } from '../schemas/refine.ts'
import { Accepted } from './accepted.ts'
import { SimBroker } from './broker/broker.ts'
import { committed } from './checks/evidence.ts'
import { VirtualClock } from './clock.ts'
import { configOf } from './config.ts'
import { Foreign } from './foreign.ts'
import { SimProcess, type Surroundings } from './process.ts'
import { chance, type Random, randomOf } from './random.ts'
import { SimRegistry } from './registry.ts'
import { Producers } from './rooms/producers.ts'
import { runRefineRoom } from './rooms/refine.ts'
import { NO_STORE_FAULTS, runSinkRoom } from './rooms/sink.ts'
import type { Scenario } from './scenario.ts'
import { Trace } from './trace.ts'

const BUFFERED = LEDGER_NAMES.indexOf('buffered')
const POLL_MS = 250
/** Without any fault a world must come to rest within this, ms: sessions, time-outs and backoffs several times over. */
export const SETTLE_MS = 90_000

export interface WorldOptions {
  readonly scenario: Scenario
  readonly folder: string
  readonly keepTrace: boolean
  readonly wrap: Surroundings['wrap']
}

export class World {
  readonly scenario: Scenario
  readonly config: Config
  readonly clock: VirtualClock
  readonly broker: SimBroker
  readonly trace: Trace
  readonly registry = new SimRegistry()
  readonly accepted = new Accepted()
  readonly processes: SimProcess[] = []
  /** Errors that no fault explains. */
  readonly problems: string[] = []
  readonly #log = pino({ level: 'silent' })
  readonly #wrap: Surroundings['wrap']
  #faultsAreOn = true
  #boots = 1
  #reader: SqliteStore | null = null
  #producers: Producers | null = null
  #foreign: Foreign | null = null

  constructor({ scenario, folder, keepTrace, wrap }: WorldOptions) {
    const { seed } = scenario
    this.scenario = scenario
    this.#wrap = wrap
    this.config = configOf(scenario, folder)
    this.clock = new VirtualClock(randomOf(seed, 'clock'))
    this.trace = new Trace(this.clock, keepTrace)
    this.broker = new SimBroker({ clock: this.clock, random: randomOf(seed, 'broker'), faults: scenario.broker })
  }

  get faultsAreOn(): boolean {
    return this.#faultsAreOn
  }

  random(part: string): Random {
    return randomOf(this.scenario.seed, part)
  }

  /** A client of nobody in particular, that no fault meets. */
  observer(): Kafka {
    return this.broker.kafka('observer')
  }

  async begin(): Promise<void> {
    const { partitions, refines, sinks, hasForeign } = this.scenario
    const admin = await this.observer().admin()
    await admin.ensureTopics(
      TOPICS.map(({ name, partitioning, configs }) => ({
        name,
        partitions: partitioning === 'data' ? partitions : 1,
        configs,
      })),
    )
    await admin.close()
    this.#addProducers()
    if (hasForeign) this.#addForeign()
    for (let number = 1; number <= refines; number += 1) this.#addRefine(`refine-${number}`)
    for (let number = 1; number <= sinks; number += 1) this.#addSink(`sink-${number}`)
    for (const process of this.processes) process.start()
  }

  process(name: string): SimProcess {
    return this.processes.find((process) => process.name === name)!
  }

  /** The machine of the producers goes down: what was not forced to disk may be gone. */
  cutPower(): void {
    const process = this.process('producers')
    if (this.#producers === null || !process.isRunning) return
    const restore = this.#producers.cutPower(this.random(`power ${this.#boots}`))
    this.#boots += 1
    process.kill('by a power cut', 1_000)
    void this.clock.sleep(500).then(restore)
  }

  /** No more faults, and nothing new comes in; everything that is down comes up. */
  heal(): void {
    this.#faultsAreOn = false
    this.trace.event('world', 'is well again')
    this.broker.setFaults({ loseAnswer: 0, reject: 0, delay: 0, crash: 0 })
    this.registry.isAway = false
    for (const process of this.processes) process.thaw()
    this.#producers?.leave()
    this.#foreign?.leave()
  }

  /** Waits until everything that went in has come out. @returns what still moves, or null */
  async settle(): Promise<string | null> {
    const admin = await this.observer().admin()
    const deadline = this.clock.mono() + SETTLE_MS
    for (;;) {
      const open = await this.#open(admin)
      if (open === null || this.clock.mono() >= deadline) {
        await admin.close()
        return open
      }
      await this.clock.sleep(POLL_MS)
    }
  }

  dispose(): void {
    for (const process of this.processes) process.dispose()
    void this.#reader?.close()
  }

  async #open(admin: Admin): Promise<string | null> {
    const down = this.processes.filter(({ isRunning }) => !isRunning)
    if (down.length > 0) return `${down.map(({ name }) => name).join(', ')} do not run`
    const waiting = (this.#producers?.depth ?? 0) + (this.#foreign?.depth ?? 0)
    if (waiting > 0) return `${waiting} readings wait at the producers`
    return (await this.#openAtRefine(admin)) ?? (await this.#openAtSink())
  }

  async #openAtRefine(admin: Admin): Promise<string | null> {
    const ranges = await admin.offsetRanges(RAW)
    const committed = await admin.committedOffsets(this.config.REFINE_GROUP, RAW)
    for (const [partition, { end }] of ranges.entries()) {
      const at = committed[partition]
      if (at === null || at === undefined) return `refine has committed nothing of partition ${partition}`
      if (at.offset < end) return `refine stands at ${at.offset} of ${end} in partition ${partition}`
      const buffered = commitMetadata.parse(JSON.parse(at.metadata)).ledger[BUFFERED]
      if (buffered > 0) return `refine holds ${buffered} readings of partition ${partition} back`
    }
    return null
  }

  /** Progress may stand behind a tail of markers; what counts are records. */
  async #openAtSink(): Promise<string | null> {
    this.#reader ??= new SqliteStore({ file: this.config.SQLITE_FILE, access: 'read' })
    const progress = await this.#reader.read((view) => view.progress()).catch(() => [])
    for (const topic of [CLEAN, LATE, ANOMALIES]) {
      const ends = new Map<number, number>()
      for (const { partition, offset } of committed(this.broker, topic)) ends.set(partition, offset + 1)
      for (const [partition, end] of ends) {
        const at = progress.find((row) => row.topic === topic && row.partition === partition)?.offset ?? 0
        if (at < end) return `the store stands at ${at} of ${end} in ${topic}/${partition}`
      }
    }
    return null
  }

  #surroundings(): Surroundings {
    const { clock, broker, trace } = this
    return { clock, broker, trace, wrap: this.#wrap, onProblem: (problem) => this.problems.push(problem) }
  }

  #addProducers(): void {
    const random = this.random('producers')
    this.processes.push(
      new SimProcess('producers', this.#surroundings(), async (life, kafka) => {
        const { config, accepted } = this
        const boot = `boot-${this.#boots}`
        const producers = new Producers({ config, kafka, life, random, log: this.#log, accepted, boot })
        this.#producers = producers
        life.onDeath(() => (this.#producers = null))
        const running = producers.run()
        if (!this.#faultsAreOn) producers.leave()
        await running
      }),
    )
  }

  #addForeign(): void {
    const random = this.random('foreign')
    const { accepted } = this
    const { partitions } = this.scenario
    this.processes.push(
      new SimProcess('foreign', this.#surroundings(), async (life, kafka) => {
        this.#foreign = new Foreign({ life, kafka, random, partitions, accepted })
        await this.#foreign.run()
      }),
    )
  }

  #addRefine(name: string): void {
    const random = this.random(name)
    const dice = this.random(`${name} steps`)
    const process: SimProcess = new SimProcess(name, this.#surroundings(), (life, kafka, signal) => {
      const { config, registry } = this
      const onStep = (step: string, partition: number): void => {
        this.trace.event(name, `step ${step} of partition ${partition}`)
        if (this.#faultsAreOn && chance(dice, this.scenario.stepKill)) process.kill(`after ${step}`)
      }
      return runRefineRoom({ config, kafka, life, random, log: this.#log, registry, signal, onStep })
    })
    this.processes.push(process)
  }

  #addSink(name: string): void {
    const random = this.random(name)
    const process: SimProcess = new SimProcess(name, this.#surroundings(), (life, kafka, signal) => {
      const { config, registry, scenario } = this
      return runSinkRoom({
        config,
        kafka,
        life,
        random,
        log: this.#log,
        registry,
        signal,
        faults: () => (this.#faultsAreOn ? scenario.store : NO_STORE_FAULTS),
        kill: (why) => process.kill(why),
      })
    })
    this.processes.push(process)
  }
}
