// The world of one run: the broker, the registry and the processes of the pipeline with their supervisors, all on one
// virtual clock and one folder. It knows how to start and how to recover.
import type { Config } from '../platform/config.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import type { RuntimeConfig } from '../platform/runtime-config/document.ts'
import { TOPICS } from '../schemas/topics.ts'
import { Accepted } from './accepted.ts'
import type { Bug } from './bug.ts'
import { SimBroker } from './broker/broker.ts'
import { VirtualClock } from './clock.ts'
import { configOf } from './config.ts'
import type { Removal } from './cut.ts'
import { type Part, populate } from './population.ts'
import type { Context } from './process.ts'
import { type Random, randomOf } from './random.ts'
import { SimRegistry } from './registry.ts'
import type { Scenario } from './scenario.ts'
import { Trace } from './trace.ts'

export interface WorldOptions {
  readonly scenario: Scenario
  readonly folder: string
  readonly keepTrace: boolean
  readonly bug: Bug
}

export class World {
  readonly scenario: Scenario
  readonly folder: string
  readonly config: Config
  readonly clock: VirtualClock
  readonly broker: SimBroker
  readonly trace: Trace
  readonly registry = new SimRegistry()
  readonly accepted = new Accepted()
  readonly parts: Part[] = []
  /** Changes of the configuration that were confirmed. */
  readonly confirmed: RuntimeConfig[] = []
  /** Errors that no fault explains. */
  readonly problems: string[] = []
  readonly bug: Bug
  /** What the freshness contract said that was not so. */
  readonly falseClaims: string[] = []
  /** Rare events that happened, so that a test can see that they do. */
  readonly sights = new Set<string>()
  /** Unread records that retention has removed. */
  readonly removals: Removal[] = []
  #faultsAreOn = true

  constructor({ scenario, folder, keepTrace, bug }: WorldOptions) {
    const { seed } = scenario
    this.scenario = scenario
    this.folder = folder
    this.bug = bug
    this.config = configOf(scenario, folder)
    this.clock = new VirtualClock(randomOf(seed, 'clock'))
    this.trace = new Trace(this.clock, keepTrace)
    this.broker = new SimBroker({ clock: this.clock, random: randomOf(seed, 'broker'), faults: scenario.broker })
    bug.changeBroker?.(this.broker)
  }

  get faultsAreOn(): boolean {
    return this.#faultsAreOn
  }

  /** A random stream of its own for a part. */
  random(part: string): Random {
    return randomOf(this.scenario.seed, part)
  }

  /** A client that is not a process: it is never killed. */
  observer(): Kafka {
    return this.broker.kafka('observer')
  }

  context(): Context {
    const { clock, broker, trace, bug } = this
    return {
      clock,
      broker,
      trace,
      wrap: bug.wrap ?? ((kafka) => kafka),
      onProblem: (problem) => this.problems.push(problem),
    }
  }

  add(part: Part): void {
    this.parts.push(part)
  }

  /** Creates the topics and starts every process. */
  async begin(): Promise<void> {
    const admin = await this.observer().admin()
    await admin.ensureTopics(
      TOPICS.map(({ name, partitioning, configs }) => ({
        name,
        partitions: partitioning === 'data' ? this.scenario.partitions : 1,
        configs,
      })),
    )
    await admin.close()
    populate(this)
    for (const { process } of this.parts) process.start()
  }

  /** Stops faults and input; brings up everything that is down. */
  heal(): void {
    this.#faultsAreOn = false
    this.trace.event('world', 'is well again')
    this.broker.setFaults({ loseAnswer: 0, reject: 0, delay: 0, crash: 0 })
    this.registry.isAway = false
    for (const { process, leave } of this.parts) {
      process.thaw()
      leave?.()
    }
  }

  dispose(): void {
    for (const { process } of this.parts) process.dispose()
  }
}
