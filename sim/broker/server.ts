// The broker itself: logs, coordinators, and whether it is up. All its work is synchronous and in memory; whatever takes
// time is in transit on a connection (link.ts) or scheduled on the broker's clock.
import type { Clock } from '../../platform/clock.ts'
import type { TopicPartition } from '../../platform/kafka/port.ts'
import type { FaultPlan } from './faults.ts'
import { Group } from './groups.ts'
import { Topics } from './topics.ts'
import { Transactions } from './transactions.ts'

const SUFFIX_DIGITS = 8

export class Server {
  readonly clock: Clock
  readonly random: () => number
  readonly plan: FaultPlan
  readonly topics = new Topics()
  readonly transactions: Transactions
  readonly #groups = new Map<string, Group>()
  #downUntilMs = 0
  #starts = 0

  constructor(clock: Clock, random: () => number, plan: FaultPlan) {
    this.clock = clock
    this.random = random
    this.plan = plan
    this.transactions = new Transactions({
      nowMs: () => this.nowMs(),
      later: (ms) => this.later(ms),
      markerMs: () => plan.markerMs(),
      commitOffsets: (group, offsets) => this.group(group).store(offsets),
    })
  }

  /** Wall time as written to batches. */
  nowMs(): number {
    return Math.floor(this.clock.now())
  }

  /** Incremented by every restart: connections opened before are broken. */
  get starts(): number {
    return this.#starts
  }

  get downForMs(): number {
    // Whole milliseconds: a remainder below the clock's precision would never elapse.
    return Math.max(0, Math.ceil(this.#downUntilMs - this.clock.mono()))
  }

  group(name: string): Group {
    const existing = this.#groups.get(name)
    if (existing !== undefined) return existing
    const group = new Group({
      monoMs: () => this.clock.mono(),
      later: (ms) => this.later(ms),
      suffix: () => Array.from({ length: SUFFIX_DIGITS }, () => Math.floor(this.random() * 16).toString(16)).join(''),
      partitionsOf: (topics) => this.#partitionsOf(topics),
    })
    this.#groups.set(name, group)
    return group
  }

  /** Resolves after `ms`, and then when the broker is up. */
  async later(ms: number): Promise<void> {
    await this.clock.sleep(ms)
    while (this.downForMs > 0) await this.clock.sleep(this.downForMs)
  }

  async restart(downMs: number): Promise<void> {
    this.#starts += 1
    this.#downUntilMs = Math.max(this.#downUntilMs, this.clock.mono() + downMs)
    await this.later(0)
    for (const group of this.#groups.values()) group.restarted()
  }

  #partitionsOf(topics: readonly string[]): TopicPartition[] {
    return topics.flatMap((topic) => this.topics.topic(topic).partitions.map(({ partition }) => ({ topic, partition })))
  }
}
