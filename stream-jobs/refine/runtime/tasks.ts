// The tasks of this process: which partitions it owns, acquiring and giving them up as the consumer group decides
// (fenced-owner.ts has the rules that keep two owners apart). A task that keeps its owner over a rebalance is kept and
// sought to its own position.
import { backoffMs } from '../../../platform/backoff.ts'
import { KafkaError } from '../../../platform/errors.ts'
import { FencedOwner, Membership } from '../../../platform/kafka/fenced-owner.ts'
import type {
  BatchContext,
  FetchedBatch,
  GroupConsumer,
  Producer,
  TopicPartition,
} from '../../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import type { Logger } from '../../../platform/log.ts'
import { CoreFailure } from '../core/careful.ts'
import { type Control, controlHeaders } from '../core/control.ts'
import { type CoreSettings, settingsText } from '../core/settings.ts'
import { acquire, type AcquireDeps } from './acquire.ts'
import { FatalRestoreError } from './fatal.ts'
import type { Task } from './task.ts'
import type { Troubles } from './troubles.ts'
import { pause } from '../../../platform/retry.ts'

const REACQUIRE = { baseMs: 100, capMs: 5_000 }
/** Before the next attempt at a partition that has failed at one offset several times. */
const REPEATED = { baseMs: 100, capMs: 30_000 }
/** Wait between requests to an unreachable registry, ms. */
const REGISTRY_RETRY_MS = 500
/** Poll interval for idle partitions, ms: a gap's time-out may be this late on an idle partition. */
const TICK_MS = 500
/** A lagging partition reads its settings late; they are not resent for this long. */
const ASK_AGAIN_MS = 30_000

export interface TasksDeps extends Omit<AcquireDeps, 'isCareful'> {
  readonly consumer: GroupConsumer
  /** For control records: raw has no transactional writer. */
  readonly controls: Producer
  readonly log: Logger
  readonly troubles: Troubles
  /** Called when continuing would be wrong; the process ends. */
  readonly onFatal: (error: Error) => void
}

export class Tasks {
  readonly #deps: TasksDeps
  readonly #membership: Membership
  /** Every partition that was ever assigned here, so that an attempt waits for the previous one. */
  readonly #owners = new Map<number, FencedOwner<Task>>()
  /** What a task is processing. */
  readonly #busy = new WeakMap<Task, Promise<void>>()
  /** Batches in flight, so that a clean stop can wait for them. */
  readonly #working = new Set<Promise<void>>()
  /** Partitions on which the core has thrown: they are acquired again carefully (core/careful.ts). */
  readonly #careful = new Set<number>()
  /** Which settings a task was sent, and when. */
  readonly #asked = new WeakMap<Task, { readonly settings: CoreSettings; readonly atMono: number }>()
  #stopped = false

  constructor(deps: TasksDeps) {
    this.#deps = deps
    this.#membership = new Membership(deps.clock)
  }

  /** Whether the group has said which partitions are this member's; it may be none. */
  joined(): boolean {
    return this.#membership.hasJoined
  }

  /** Running partitions, with their positions. */
  running(): Task[] {
    return [...this.#owners.values()].flatMap(({ owner }) => owner ?? [])
  }

  /** Partitions that are assigned here but not running yet. */
  acquiring(): number[] {
    return [...this.#owners].flatMap(([partition, { state }]) => (state === 'acquiring' ? [partition] : []))
  }

  /** The group has settled; runs synchronously inside the join. */
  assign(assigned: readonly TopicPartition[], generation: number): void {
    this.#membership.settle(generation)
    const partitions = new Set(assigned.map(({ partition }) => partition))
    for (const [partition, owner] of this.#owners) {
      if (partitions.has(partition) || owner.state === 'idle') continue
      owner.drop()
      this.#deps.troubles.forget(partition)
    }
    for (const partition of partitions) {
      const owner = this.#ownerOf(partition)
      if (owner.owner !== null) this.#resume(owner.owner)
      else owner.acquire()
    }
  }

  /** The broker knows this member. */
  confirm(): void {
    this.#membership.confirm()
  }

  async onBatch(fetched: FetchedBatch, context: BatchContext): Promise<void> {
    const task = this.#owners.get(fetched.partition)?.owner ?? null
    if (task === null || context.isStale()) return
    await this.#queue(task, async () => {
      const waiting = await task.work(fetched)
      if (waiting !== null) this.#wait(task, waiting.learning)
      else this.#deps.troubles.passed(task.partition, task.position)
    })
  }

  /** The group has lost the task's offset. */
  async recommit(task: Task): Promise<void> {
    if (!this.#owns(task) || this.#stopped) return
    await this.#queue(task, () => task.recommit())
  }

  /** The group has an offset that this task did not commit: an operator's repair, or another owner, has fenced it. */
  async overtaken(task: Task, offset: number): Promise<void> {
    if (!this.#owns(task) || this.#stopped) return
    await this.#queue(task, () => {
      if (offset <= task.committedPosition) return Promise.resolve()
      const { partition } = task
      throw new KafkaError(
        'PRODUCER_FENCED',
        `offset ${offset} of partition ${partition} was committed by another owner`,
      )
    })
  }

  /** Sets the partition aside until the registry has answered: the others share its fetches and must not wait. */
  #wait(task: Task, learning: Promise<void>): void {
    const at = { topic: this.#deps.settings.topics.raw, partition: task.partition }
    this.#deps.consumer.pause(at)
    this.#deps.consumer.seek(at, task.position)
    void this.#resumeAfter(task, learning)
  }

  async #resumeAfter(task: Task, learning: Promise<void>): Promise<void> {
    const { clock, log, troubles } = this.#deps
    const { partition, position } = task
    try {
      await learning
    } catch (error) {
      const { times } = troubles.failed(partition, position, error, clock.now())
      if (times === 1) log.warn({ err: error, partition, position }, 'a schema is not known yet; asking again')
      await clock.sleep(REGISTRY_RETRY_MS)
    }
    if (this.#owns(task) && !this.#stopped) this.#resume(task)
  }

  /** The end of the partition is reached; resolves when the task has committed that, or is no longer this member's. */
  async settle(task: Task, end: number): Promise<void> {
    if (!this.#owns(task) || this.#stopped) return
    await this.#queue(task, () => task.settle(end))
  }

  /** The version of the configuration that all partitions have applied; null while some are not running yet. */
  appliedVersion(): number | null {
    if (this.#stopped || !this.joined() || this.acquiring().length > 0) return null
    const wanted = this.#deps.coreSettings()
    const text = settingsText(wanted)
    // A version alone proves nothing: anyone who may write to raw can claim any.
    const versionOf = ({ applied }: Task): number =>
      settingsText(applied) === text ? wanted.version : Math.min(applied.version, wanted.version - 1)
    return this.running().reduce((least, task) => Math.min(least, versionOf(task)), Infinity)
  }

  /** Sends the desired settings to the partitions that lack them; never rejects. */
  async configure(): Promise<void> {
    const { coreSettings, clock, log } = this.#deps
    const settings = coreSettings()
    const atMono = clock.mono()
    const lacking = this.running().filter((task) => this.#lacks(task, settings, atMono))
    if (lacking.length === 0 || this.#stopped) return
    for (const task of lacking) this.#asked.set(task, { settings, atMono })
    try {
      // Most lack the same; a partition with a forged version is told which version to ignore.
      for (const overrules of new Set(lacking.map(({ core }) => core.settings.version)))
        await this.#control(
          lacking.filter(({ core }) => core.settings.version === overrules).map(({ partition }) => partition),
          overrules > settings.version ? { kind: 'settings', settings, overrules } : { kind: 'settings', settings },
        )
    } catch (error) {
      for (const task of lacking) this.#asked.delete(task)
      log.warn({ err: error }, 'failed to send settings; will retry')
    }
  }

  /** A version newer than the desired one is left for a while: another process may be ahead of this one. */
  #lacks(task: Task, wanted: CoreSettings, nowMono: number): boolean {
    const { settings } = task.core
    const { troubles, settings: names, log } = this.#deps
    const { partition } = task
    if (settingsText(settings) === settingsText(wanted)) {
      troubles.areOurs(partition)
      return false
    }
    if (!troubles.isForeign(partition, names.topics.raw, settings.version, wanted.version, nowMono)) return false
    const asked = this.#asked.get(task)
    const lacks = asked === undefined || asked.settings !== wanted || nowMono - asked.atMono >= ASK_AGAIN_MS
    if (lacks && settings.version > wanted.version)
      log.error(
        { code: 'SETTINGS_FOREIGN', partition, version: settings.version, newest: wanted.version },
        'settings of a version that topic config does not have are overruled: somebody has written them into raw',
      )
    return lacks
  }

  /** Sends control records to partitions where a wait is over but nothing arrives. Runs until stopped. */
  async tick(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps
    while (!signal.aborted) {
      await pause(TICK_MS, signal, clock)
      await this.configure()
      const idle = this.running().filter((task) => task.needsTick() && task.position >= task.endOffset)
      if (idle.length === 0 || this.#stopped) continue
      await this.#control(
        idle.map(({ partition }) => partition),
        { kind: 'tick' },
      ).catch((error: unknown) => log.warn({ err: error }, 'failed to send a tick; the next one follows'))
    }
  }

  /**
   * Waits for the transactions in flight, then gives up everything.
   * @param how a clean stop leaves snapshots at the last offsets; a partition where that fails is replayed instead
   */
  async stop(how: 'clean' | 'failed'): Promise<void> {
    this.#stopped = true
    const owners = [...this.#owners.values()]
    for (const owner of owners) owner.end()
    await Promise.allSettled(this.#working)
    if (how === 'clean') await Promise.allSettled(this.running().map((task) => this.#finish(task)))
    await Promise.all(owners.map((owner) => owner.close()))
  }

  /** One after another: a rebalance may deliver the partition's next batch while the previous one is in flight. */
  async #queue(task: Task, work: () => Promise<void>): Promise<void> {
    const busy = (this.#busy.get(task) ?? Promise.resolve()).then(() => this.#perform(task, work))
    this.#busy.set(task, busy)
    this.#working.add(busy)
    await busy.finally(() => this.#working.delete(busy))
  }

  /** Never rejects. */
  async #perform(task: Task, work: () => Promise<void>): Promise<void> {
    if (!this.#owns(task)) return
    try {
      await work()
    } catch (error) {
      // The client's rebalance signal passes through heartbeats; the task's transaction is then complete or in doubt,
      // and acquiring the partition again settles both.
      const { log, troubles, clock } = this.#deps
      const { partition, committedPosition: position } = task
      const { times } = troubles.failed(partition, position, error, clock.now())
      if (error instanceof CoreFailure) this.#careful.add(partition)
      log.warn({ err: error, partition, position, times }, 'a transaction is in doubt: acquiring the partition again')
      this.#drop(task)
    }
  }

  async #finish(task: Task): Promise<void> {
    try {
      await task.finish()
    } catch (error) {
      this.#deps.log.warn(
        { err: error, partition: task.partition },
        'failed to take the last snapshot; the next start replays from the one before',
      )
    }
  }

  #drop(task: Task): void {
    if (!this.#owns(task)) return
    if (!this.#stopped) this.#deps.consumer.pause({ topic: this.#deps.settings.topics.raw, partition: task.partition })
    this.#ownerOf(task.partition).doubt()
  }

  #owns(task: Task): boolean {
    return this.#owners.get(task.partition)?.owner === task
  }

  #ownerOf(partition: number): FencedOwner<Task> {
    const known = this.#owners.get(partition)
    if (known !== undefined) return known
    const { clock, random, log, troubles, onFatal } = this.#deps
    const owner = new FencedOwner<Task>({
      clock,
      random,
      membership: this.#membership,
      backoff: REACQUIRE,
      delayMs: () => {
        const failures = troubles.times(partition)
        return failures > 1 ? backoffMs(REPEATED, failures, random) : 0
      },
      acquire: () => acquire({ ...this.#deps, isCareful: (one) => this.#careful.has(one) }, partition),
      onOwned: (task) => this.#run(task),
      onFailure: (error) => {
        if (error instanceof CoreFailure) this.#careful.add(partition)
        const { times } = troubles.failed(partition, null, error, clock.now())
        log.warn({ err: error, partition, times }, 'failed to acquire the partition; trying again')
      },
      isFatal: (error) => error instanceof FatalRestoreError,
      onFatal,
    })
    this.#owners.set(partition, owner)
    return owner
  }

  async #run(task: Task): Promise<void> {
    const { partition, position, core } = task
    this.#resume(task)
    this.#deps.log.info({ partition, position, sensors: core.sensors.size }, 'the partition is owned and restored')
    await this.configure()
  }

  #resume(task: Task): void {
    const at = { topic: this.#deps.settings.topics.raw, partition: task.partition }
    this.#deps.consumer.seek(at, task.position)
    this.#deps.consumer.resume(at)
  }

  async #control(partitions: readonly number[], control: Control): Promise<void> {
    const headers = controlHeaders(control)
    await this.#deps.controls.send(
      partitions.map((partition) => {
        const records = new RecordBatchBuilder()
        records.add(null, null, headers)
        return { topic: this.#deps.settings.topics.raw, partition, records }
      }),
    )
  }
}
