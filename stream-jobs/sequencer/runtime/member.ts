// This process's role in the group of sequencers: standby, acquiring, or active. The group gives all partitions of
// the extents to one member; fenced-owner.ts has the rules that keep two of them apart. An active one that stays so over a
// rebalance is kept and its partitions are sought to its own positions.
import { FencedOwner, Membership } from '../../../platform/kafka/fenced-owner.ts'
import type { BatchContext, FetchedBatch, GroupConsumer, TopicPartition } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { DecodeError } from '../../../platform/codec/framed-decoder.ts'
import { ExtentError } from '../core/sequence.ts'
import { FatalRestoreError } from '../../refine/runtime/fatal.ts'
import { acquireSequencer, type AcquireSequencerDeps } from './acquire.ts'
import type { Sequencer } from './sequencer.ts'
import { Views, type ViewsDeps } from './views.ts'

const REACQUIRE = { baseMs: 100, capMs: 5_000 }
/** A fetch hands out the batches of its partitions one after the other: wait this long for all of them, ms. */
const GATHER_MS = 1

/** The time from acquiring to losing or failing. */
interface Term {
  readonly sequencer: Sequencer
  readonly views: Views
}

export type SequencerState =
  | 'joining'
  | 'standby'
  /** Waiting for the broker to confirm this member, or for the next try. */
  | 'acquiring'
  | 'active'

interface Pending {
  readonly term: Term
  readonly batch: FetchedBatch
  readonly context: BatchContext
  readonly done: () => void
}

export interface SequencerMemberDeps extends AcquireSequencerDeps {
  readonly consumer: Pick<GroupConsumer, 'seek' | 'pause' | 'resume'>
  readonly log: Logger
  readonly random: () => number
  readonly viewsDeps: ViewsDeps
  readonly onActive: (active: boolean) => void
  /** Called when continuing would be wrong; the process ends. */
  readonly onFatal: (error: Error) => void
}

export class SequencerMember {
  readonly #deps: SequencerMemberDeps
  readonly #membership: Membership
  readonly #role: FencedOwner<Sequencer>
  /** Of the role's owner; null while there is none. */
  #term: Term | null = null
  #assigned: readonly TopicPartition[] = []
  #claim = 0
  #stopped = false
  #pending: Pending[] = []
  #woken = false
  #wake: () => void = () => undefined
  readonly #worked: Promise<void>

  constructor(deps: SequencerMemberDeps) {
    this.#deps = deps
    const { clock, random, log, onFatal } = deps
    this.#membership = new Membership(clock)
    this.#role = new FencedOwner({
      clock,
      random,
      membership: this.#membership,
      backoff: REACQUIRE,
      acquire: () => acquireSequencer(deps),
      isComplete: (sequencer) => this.#covers(sequencer),
      onOwned: (sequencer) => this.#activate(sequencer),
      onDropped: () => this.#retire(),
      onFailure: (error) => log.warn({ err: error }, 'failed to acquire the order; trying again'),
      isFatal,
      onFatal,
    })
    this.#worked = this.#work()
  }

  get state(): SequencerState {
    const { state } = this.#role
    if (state === 'owned') return 'active'
    if (state === 'acquiring') return 'acquiring'
    return this.#membership.hasJoined ? 'standby' : 'joining'
  }

  /** The active sequencer, or null. */
  active(): Sequencer | null {
    return this.#role.owner
  }

  /** More than any that this member has put in order, once it was active; so the owner keeps the partitions. */
  claim(): number {
    return this.#claim
  }

  /** The group has settled; runs synchronously inside the join. */
  assign(assigned: readonly TopicPartition[], generation: number): void {
    this.#assigned = assigned
    this.#membership.settle(generation)
    const active = this.active()
    if (active !== null && assigned.length > 0 && this.#covers(active)) return this.#resume(active)
    if (active !== null || assigned.length === 0) this.#role.drop()
    if (assigned.length > 0) this.#role.acquire()
  }

  /** The broker knows this member. */
  confirm(): void {
    this.#membership.confirm()
  }

  /** Nothing but aborted records and markers is left below `position`; the client never hands such a tail over. */
  passTail(sequencer: Sequencer, at: TopicPartition, position: number): void {
    if (this.active() !== sequencer || !sequencer.passTail(at.partition, position)) return
    this.#deps.consumer.seek(at, position)
    this.#rouse()
  }

  /** Resolves when the batch is in the order, or is no longer this member's to append. */
  async onBatch(fetched: FetchedBatch, context: BatchContext): Promise<void> {
    const term = this.#term
    if (term === null || this.#stopped || context.isStale()) return
    await new Promise<void>((done) => {
      this.#pending.push({ term, batch: fetched, context, done })
      this.#rouse()
    })
  }

  /** Waits for the transaction in flight, then gives up everything. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#role.end()
    this.#rouse()
    await this.#worked
    await this.#role.close()
  }

  /** One transaction after another, each with everything pending. */
  async #work(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#woken) await new Promise<void>((wake) => (this.#wake = wake))
      this.#woken = false
      if (this.#stopped) return
      await this.#deps.clock.sleep(GATHER_MS)
      const taken = this.#pending.splice(0)
      if (this.#term !== null) await this.#commit(this.#term, taken)
      for (const { done } of taken) done()
    }
  }

  /** Never rejects. */
  async #commit(term: Term, taken: readonly Pending[]): Promise<void> {
    const { sequencer, views } = term
    // What was fetched for a former term began at that term's positions.
    const batches = taken.flatMap((one) => (one.term === term && !one.context.isStale() ? [one.batch] : []))
    const view = views.due()
    try {
      await sequencer.commit(batches, view)
      if (view !== null) views.published(view)
      this.#claim = Math.max(this.#claim, sequencer.sequence.next + 1)
    } catch (error) {
      this.#fail(term, error)
    }
  }

  #fail(term: Term, error: unknown): void {
    const { log, consumer, onFatal } = this.#deps
    const isCurrent = this.#term === term
    if (isFatal(error)) {
      // Its count may be ahead of what is committed: it must not be used again.
      if (isCurrent) this.#role.drop()
      return onFatal(error)
    }
    log.warn({ err: error }, 'a transaction of the order is in doubt: the sequencer is dropped and acquired again')
    if (!isCurrent) return
    for (const at of this.#assigned) consumer.pause(at)
    this.#role.doubt()
  }

  #activate(sequencer: Sequencer): void {
    const { viewsDeps, log, onActive } = this.#deps
    const views = new Views(viewsDeps, sequencer.lastView, () => this.#rouse())
    this.#term = { sequencer, views }
    this.#claim = Math.max(this.#claim, sequencer.sequence.next + 1)
    this.#resume(sequencer)
    log.info({ next_sequence: sequencer.sequence.next }, 'this is the active sequencer')
    onActive(true)
  }

  #resume(sequencer: Sequencer): void {
    for (const at of this.#assigned) {
      this.#deps.consumer.seek(at, sequencer.sequence.reached(at.partition).position)
      this.#deps.consumer.resume(at)
    }
  }

  /** Whether all that is assigned is part of its order: a topic may get more partitions. */
  #covers({ sequence }: Sequencer): boolean {
    const known = new Set(sequence.partitions())
    return this.#assigned.every(({ partition }) => known.has(partition))
  }

  /** Back to standby: its batches are released, nothing more is published. */
  #retire(): void {
    this.#term?.views.close()
    this.#term = null
    for (const { done } of this.#pending.splice(0)) done()
    this.#deps.onActive(false)
  }

  #rouse(): void {
    this.#woken = true
    this.#wake()
  }
}

const isFatal = (error: unknown): error is Error =>
  error instanceof FatalRestoreError || error instanceof ExtentError || error instanceof DecodeError
