// This process's part in the group of sequencers: standing by, acquiring, or active. The group gives all partitions of
// the extents to one member; the rules that keep two of them apart are those of refine's tasks (tasks.ts): one attempt to
// acquire at a time; after an error another one only when the broker has confirmed this member since; an active one that
// stays so over a rebalance is kept and its partitions are sought to its own positions.
import { backoffMs } from '../../../platform/backoff.ts'
import { messageOf } from '../../../platform/errors.ts'
import type { BatchContext, FetchedBatch, GroupConsumer, TopicPartition } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { DecodeError } from '../../../platform/codec/framed-decoder.ts'
import { ExtentError } from '../core/sequence.ts'
import { FatalRestoreError } from '../../refine/runtime/fatal.ts'
import { acquireSequencer, type AcquireSequencerDeps } from './acquire.ts'
import type { Sequencer } from './sequencer.ts'
import { Views, type ViewsDeps } from './views.ts'

const REACQUIRE = { baseMs: 100, capMs: 5_000 }
const POLL_MS = 50
/** A fetch hands out the batches of its partitions one after the other: so long until all of them are there, ms. */
const GATHER_MS = 1

/** The time from acquiring to losing or failing. */
interface Term {
  readonly sequencer: Sequencer
  readonly views: Views
}

type State =
  | { readonly kind: 'joining' }
  | { readonly kind: 'standby' }
  /** Waiting for the broker to confirm this member, or for the next try. */
  | { readonly kind: 'acquiring' }
  | { readonly kind: 'active'; readonly term: Term }

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
  /** Called when going on would be wrong; the process ends. */
  readonly onFatal: (error: Error) => void
}

export class SequencerMember {
  readonly #deps: SequencerMemberDeps
  #state: State = { kind: 'joining' }
  #assigned: readonly TopicPartition[] = []
  #generation = 0
  #confirmedAt = -Infinity
  #claim = 0
  #stopped = false
  /** The attempt to acquire that runs or ran last: the next one waits for it. */
  #attempt: Promise<void> = Promise.resolve()
  /** The producer that was let go of last. */
  #closed: Promise<void> = Promise.resolve()
  #pending: Pending[] = []
  #woken = false
  #wake: () => void = () => undefined
  readonly #worked: Promise<void>

  constructor(deps: SequencerMemberDeps) {
    this.#deps = deps
    this.#worked = this.#work()
  }

  get state(): State['kind'] {
    return this.#state.kind
  }

  /** The active sequencer, or null. */
  active(): Sequencer | null {
    return this.#state.kind === 'active' ? this.#state.term.sequencer : null
  }

  /** More than any that this member has put in order, once it was active; so the owner keeps the partitions. */
  claim(): number {
    return this.#claim
  }

  /** The group has settled; runs synchronously inside the join. */
  assign(assigned: readonly TopicPartition[], generation: number): void {
    this.#assigned = assigned
    this.#generation = generation
    this.confirm()
    if (assigned.length === 0) {
      this.#retire()
      return
    }
    if (this.#state.kind === 'active' && this.#covers(this.#state.term.sequencer)) this.#resume(this.#state.term)
    else if (this.#state.kind !== 'acquiring') this.#startAcquiring(-Infinity)
  }

  /** The broker knows this member. */
  confirm(): void {
    this.#confirmedAt = this.#deps.clock.mono()
  }

  /** Nothing but aborted records and markers is left below `position`; the client never hands such a tail over. */
  passTail(sequencer: Sequencer, at: TopicPartition, position: number): void {
    if (this.active() !== sequencer || !sequencer.passTail(at.partition, position)) return
    this.#deps.consumer.seek(at, position)
    this.#rouse()
  }

  /** Resolves when the batch is in the order, or is not this member's to put there any more. */
  async onBatch(fetched: FetchedBatch, context: BatchContext): Promise<void> {
    if (this.#state.kind !== 'active' || this.#stopped || context.isStale()) return
    const { term } = this.#state
    await new Promise<void>((done) => {
      this.#pending.push({ term, batch: fetched, context, done })
      this.#rouse()
    })
  }

  /** Waits for the transaction in work, then lets go of everything. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#rouse()
    await this.#worked
    this.#retire()
    await this.#attempt
    await this.#closed
  }

  /** One transaction after the other, each with all that is there. */
  async #work(): Promise<void> {
    while (!this.#stopped) {
      if (!this.#woken) await new Promise<void>((wake) => (this.#wake = wake))
      this.#woken = false
      if (this.#stopped) return
      await this.#deps.clock.sleep(GATHER_MS)
      const taken = this.#pending.splice(0)
      if (this.#state.kind === 'active') await this.#commit(this.#state.term, taken)
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
    const { log, clock, consumer, onFatal } = this.#deps
    const isCurrent = this.#state.kind === 'active' && this.#state.term === term
    // Its count may be ahead of what is committed: nothing more may come of it, whatever happens next.
    if (isCurrent) this.#retire()
    if (isFatal(error)) return onFatal(error)
    log.warn({ err: error }, 'a transaction of the order is in doubt: the sequencer is dropped and acquired anew')
    if (!isCurrent) return
    for (const at of this.#assigned) consumer.pause(at)
    this.#startAcquiring(clock.mono())
  }

  /** @param since mono time of the error that made this necessary; a confirmation must be newer */
  #startAcquiring(since: number): void {
    this.#retire()
    if (this.#stopped) return
    const state: State = { kind: 'acquiring' }
    this.#state = state
    this.#attempt = this.#attempt
      .then(() => this.#acquire(state, since))
      .catch((error: unknown) => this.#deps.onFatal(error instanceof Error ? error : new Error(messageOf(error))))
  }

  async #acquire(state: State, since: number): Promise<void> {
    const { clock, log, random } = this.#deps
    const isWanted = (): boolean => this.#state === state && !this.#stopped
    for (let attempt = 0; isWanted(); attempt += 1) {
      while (isWanted() && this.#confirmedAt <= since) await clock.sleep(POLL_MS)
      if (!isWanted()) return
      try {
        const sequencer = await this.#tryToAcquire(isWanted)
        if (sequencer !== null) return this.#activate(sequencer)
      } catch (error) {
        if (!isWanted()) return
        if (isFatal(error)) throw error
        since = clock.mono()
        log.warn({ err: error }, 'the order could not be acquired; trying again')
      }
      await clock.sleep(backoffMs(REACQUIRE, attempt, random))
    }
  }

  /** Null when the group has been rearranged meanwhile: another member may be the active one by now. */
  async #tryToAcquire(isWanted: () => boolean): Promise<Sequencer | null> {
    const generation = this.#generation
    const sequencer = await acquireSequencer(this.#deps)
    try {
      if (isWanted() && generation === this.#generation) {
        await sequencer.begin()
        if (isWanted() && this.#covers(sequencer)) return sequencer
      }
    } catch (error) {
      await sequencer.close().catch(() => undefined)
      throw error
    }
    await sequencer.close().catch(() => undefined)
    return null
  }

  #activate(sequencer: Sequencer): void {
    const { viewsDeps, log, onActive } = this.#deps
    const views = new Views(viewsDeps, sequencer.lastView, () => this.#rouse())
    const term = { sequencer, views }
    this.#state = { kind: 'active', term }
    this.#claim = Math.max(this.#claim, sequencer.sequence.next + 1)
    this.#resume(term)
    log.info({ next_sequence: sequencer.sequence.next }, 'this is the active sequencer')
    onActive(true)
  }

  #resume({ sequencer }: Term): void {
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

  /** Back to standing by. A transaction in work ends by itself, or by the successor's fence. */
  #retire(): void {
    const state = this.#state
    this.#state = { kind: 'standby' }
    if (state.kind !== 'active') return
    state.term.views.close()
    this.#closed = state.term.sequencer.close().catch(() => undefined)
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
