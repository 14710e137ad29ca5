// Writes decoded batches to the store, one transaction after another. It waits briefly so that partitions share a
// transaction, and writes as many rows as the store takes in time. The cause of a failed write decides what follows:
//
//   outage → the same rows are tried again when the gate opens; nothing is dropped and nothing piles up, since every
//            partition waits for its one batch. Bound: one fetch per partition, 16 MiB of records over all of them.
//   poison → the rows are halved until each bad one is alone; these go to the dead-letter topic, all others are stored.
//   moved  → the partition is another sink's; its batch is dropped.
//
// A batch is dropped only when its partition is no longer ours.
import type { Clock } from '../platform/clock.ts'
import { StoreError } from '../platform/errors.ts'
import type { CheckResult } from '../platform/health.ts'
import type { FetchedBatch } from '../platform/kafka/port.ts'
import type { Logger } from '../platform/log.ts'
import type { Store, WriteBatch } from '../platform/store/port.ts'
import { classifyFailure, type StoreFailure, type StorePoisonError } from '../platform/store/store-errors.ts'
import { BATCH_ROWS_MAX, nextLimit } from './core/batch-limit.ts'
import {
  composeBatch,
  composeRows,
  type Slice,
  sliceRows,
  takeSlices,
  type DecodedBatch,
  rowCount,
  type WaitingBatch,
} from './core/write-batch.ts'
import { type Reject, rejectsAt } from './core/decode.ts'
import { PoisonSearch } from './core/poison.ts'
import type { SinkPartition } from './core/sink-partition.ts'
import { retryWhileWanted, settlesWithin } from './patience.ts'
import type { SinkMetrics } from './sink-metrics.ts'
import { StoreGate } from './store-gate.ts'
import { writeWithin } from './timed-write.ts'

/** Dropped: the partition was revoked, or another sink has advanced the store. */
export type Outcome = 'written' | 'dropped'

interface Submitted extends WaitingBatch {
  readonly settle: (outcome: Outcome) => void
}

export interface WriterOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly store: Pick<Store, 'write'>
  readonly lingerMs: number
  /** Deadline of one write. */
  readonly timeoutMs: number
  readonly log: Logger
  readonly metrics: SinkMetrics
  /** Sends rows that the store will never take to the dead-letter topic; its rejection may be retriable. */
  readonly deadLetter: (fetched: FetchedBatch, rejects: readonly Reject[]) => Promise<void>
  /** The store's progress differs from the partition's: it must be read again. */
  readonly onMoved: (partition: SinkPartition) => void
  /** The store is down (true) or back: whether new batches are wanted. */
  readonly onOpen: (isOpen: boolean) => void
  /** The writer has ended and nothing is written any more. */
  readonly onFailed: (error: unknown) => void
}

export class StoreWriter {
  readonly #options: WriterOptions
  readonly #gate: StoreGate
  readonly #waiting: Submitted[] = []
  readonly #touched = new Set<SinkPartition>()
  #limit = BATCH_ROWS_MAX
  readonly #stopping = new AbortController()
  #ended = false
  #wake: () => void = () => {}
  readonly #running: Promise<void>

  constructor(options: WriterOptions) {
    this.#options = options
    const { clock, random, metrics, log, onOpen } = options
    this.#gate = new StoreGate({ clock, random, metrics, log, onOpen })
    metrics.limit(this.#limit)
    this.#running = this.#run()
      .catch(options.onFailed)
      .finally(() => this.#end())
  }

  /** Resolves when the batch is in the store, or never will be. One batch per partition at a time. */
  submit(decoded: DecodedBatch): Promise<Outcome> {
    if (this.#ended) return Promise.resolve('dropped')
    decoded.partition.submitted()
    return new Promise((settle) => {
      this.#waiting.push({ ...decoded, done: 0, settle })
      this.#options.metrics.waitingRows(this.#waitingRows())
      this.#wake()
    })
  }

  /** Has the partition's progress written with the next batch, or now if there is none. */
  touch(partition: SinkPartition): void {
    this.#touched.add(partition)
    this.#wake()
  }

  /** While true, new batches are not wanted. */
  get isOpen(): boolean {
    return this.#gate.isOpen
  }

  check(): CheckResult {
    const { ready, detail } = this.#gate.check()
    return { ready, detail: `${detail}; ${this.#waiting.length} fetches wait, ${this.#limit} rows per batch at most` }
  }

  /** Ends after pending batches are written; if the store fails they are dropped and read again at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    await this.#running
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted
  }

  async #run(): Promise<void> {
    while (!this.#stopped || (this.#waiting.length > 0 && !this.#gate.isFailing)) {
      if (this.#waiting.length === 0 && this.#touched.size === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      if (!this.#gate.isFailing) await this.#linger()
      this.#settle(({ partition }) => (partition.isRevoked ? 'dropped' : null))
      const slices = takeSlices(this.#waiting, this.#limit)
      const idle = this.#takeIdle()
      if (slices.length + idle.length > 0) await this.#put(slices, idle)
    }
  }

  /** What is still pending is read again by the next owner of its partition. */
  #end(): void {
    this.#ended = true
    this.#settle(() => 'dropped')
  }

  async #linger(): Promise<void> {
    if (this.#waiting.length === 0) return
    const { clock, lingerMs } = this.#options
    const deadline = clock.mono() + lingerMs
    for (;;) {
      const left = deadline - clock.mono()
      if (left <= 0 || this.#stopped || this.#waitingRows() >= this.#limit) return
      await settlesWithin(new Promise<void>((resolve) => (this.#wake = resolve)), left, clock)
    }
  }

  /** A partition with a batch advances with it; one may have been revoked or become busy since it was added. */
  #takeIdle(): SinkPartition[] {
    const idle = [...this.#touched].filter(({ state }) => state.kind === 'reading')
    this.#touched.clear()
    return idle
  }

  async #put(slices: readonly Slice<Submitted>[], idle: readonly SinkPartition[]): Promise<void> {
    const batch = composeBatch(slices, idle)
    const failure = await this.#try(batch, slices)
    if (failure === null) return this.#advance(slices, idle, batch)
    for (const partition of idle) this.#touched.add(partition)
    switch (failure.kind) {
      case 'outage':
        return this.#gate.pause(this.#stopping.signal)
      case 'poison':
        return this.#sift(slices, failure.error)
      case 'moved':
        return this.#moved(failure.error, [...slices.map(({ decoded }) => decoded.partition), ...idle])
    }
  }

  /** One write. @returns null when the store has taken it */
  async #try(batch: WriteBatch, slices: readonly Slice[]): Promise<StoreFailure | null> {
    const { store, timeoutMs, metrics, clock } = this.#options
    const rows = sliceRows(slices)
    const started = clock.mono()
    const failure = await writeWithin(store, batch, timeoutMs, clock).then(
      () => null,
      (error: unknown) => classify(error, rows),
    )
    const tookMs = clock.mono() - started
    if (failure?.kind === 'outage') this.#gate.failed(failure.reason)
    else this.#gate.succeeded()
    if (failure === null) metrics.written(slices, tookMs / 1_000, clock.now())
    this.#limit = nextLimit(this.#limit, { rows, tookMs, timeoutMs })
    metrics.limit(this.#limit)
    return failure
  }

  /** The store has the slices, and the progress as of the transaction: an idle partition may have advanced since. */
  #advance(slices: readonly Slice<Submitted>[], idle: readonly SinkPartition[], { progress }: WriteBatch): void {
    const nowMs = this.#options.clock.now()
    for (const [i, partition] of [...slices.map(({ decoded }) => decoded.partition), ...idle].entries())
      partition.saved(progress[i].offset, nowMs)
    const ended = new Set<Submitted>()
    for (const { decoded, to } of slices) {
      decoded.done = to
      if (to === rowCount(decoded)) ended.add(decoded)
    }
    this.#settle((decoded) => (ended.has(decoded) ? 'written' : null))
  }

  /** Stores all rows but the bad ones, which go to the dead-letter topic; the next transaction moves progress past. */
  async #sift(slices: readonly Slice<Submitted>[], { message, refused }: StorePoisonError): Promise<void> {
    const search = new PoisonSearch(slices)
    // If no row is named, the progress may have been at fault.
    if (refused.length > 0) search.refused(slices, message, refused)
    for (let part = search.next; part !== null; part = search.next) {
      if (this.#stopped && this.#gate.isFailing) return
      const wanted = part.filter(({ decoded }) => !decoded.partition.isRevoked)
      const failure = wanted.length === 0 ? null : await this.#try(composeRows(wanted), wanted)
      if (failure === null) search.passed()
      else if (failure.kind === 'poison') search.refused(wanted, failure.error.message, failure.error.refused)
      else await this.#gate.pause(this.#stopping.signal)
    }
    for (const { decoded, to } of slices) {
      const reasons = new Map(
        search.found.filter((row) => row.decoded === decoded).map(({ row, reason }) => [decoded.offsets[row], reason]),
      )
      const isDone = reasons.size === 0 || (await this.#deadLetter(decoded, rejectsAt(decoded.batch, reasons)))
      if (isDone) decoded.done = to
      // Given up, or it would be retried in a tight loop for ever: the partition's next owner reads it again.
      else decoded.partition.revoke()
    }
  }

  /** @returns false when the batch is no longer wanted */
  async #deadLetter({ partition, batch: fetched }: DecodedBatch, rejects: readonly Reject[]): Promise<boolean> {
    const { clock, random, log, deadLetter, metrics } = this.#options
    const { topic, partition: number } = partition
    const { length: records, 0: first } = rejects
    log.warn(
      { topic, partition: number, records, reason: first.reason },
      'the store refused rows; sending them to the dead-letter topic',
    )
    const isWanted = (): boolean => !partition.isRevoked && !this.#stopped
    const send = async (): Promise<true> => {
      await deadLetter(fetched, rejects)
      return true
    }
    if ((await retryWhileWanted('sending dead letters', { clock, random, log, isWanted }, send)) === null) return false
    metrics.deadLetters.inc({ topic, reason: 'poison' }, records)
    return true
  }

  #moved(error: StoreError, partitions: readonly SinkPartition[]): void {
    const moved = partitions.find(({ topic, partition }) => topic === error.topic && partition === error.partition)
    if (moved === undefined) throw error
    moved.revoke()
    this.#options.log.warn({ topic: moved.topic, partition: moved.partition }, error.message)
    this.#options.onMoved(moved)
  }

  /** Removes the batches that have an outcome. */
  #settle(outcomeOf: (decoded: Submitted) => Outcome | null): void {
    for (const decoded of [...this.#waiting]) {
      const outcome = outcomeOf(decoded)
      if (outcome === null) continue
      this.#waiting.splice(this.#waiting.indexOf(decoded), 1)
      decoded.partition.settled()
      decoded.settle(outcome)
    }
    this.#options.metrics.waitingRows(this.#waitingRows())
  }

  #waitingRows(): number {
    return this.#waiting.reduce((sum, decoded) => sum + rowCount(decoded) - decoded.done, 0)
  }
}

/** Without rows, no row can be at fault. Rethrows what ends the process. */
function classify(error: unknown, rows: number): StoreFailure {
  if (error instanceof StoreError && error.code === 'STORE_STUCK') throw error
  const failure = classifyFailure(error)
  return failure.kind === 'poison' && rows === 0 ? { kind: 'outage', reason: failure.error.message } : failure
}
