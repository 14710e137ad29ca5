// A replica: every reading of the total order as a row in its sensor's file, once and in order; late readings go
// to separate files, so that the ordered ones stay ordered. All replicas write the same bytes, no matter when they were
// started and how often they are killed.
//
//   order → rows ┐                    in memory, then in the files
//   late  → rows ┘→ every second:     fsync the files, then write the checkpoint
//
// Late readings are read without a consumer group: every replica reads all of them, in partition order.
// It waits while the broker or registry is down; an order that cannot be read completely ends it with an error.
import type { Clock } from '../../platform/clock.ts'
import { KafkaError, messageOf, PlumblineError } from '../../platform/errors.ts'
import { type CheckResult, ProgressWatch } from '../../platform/health.ts'
import type { FetchedBatch, Kafka } from '../../platform/kafka/port.ts'
import type { Logger } from '../../platform/log.ts'
import { pause, retryWhile } from '../../platform/retry.ts'
import { OrderError } from '../../platform/order/errors.ts'
import { type OrderChunk, OrderReader } from '../../platform/order/order-reader.ts'
import type { FetchSchema } from '../../platform/codec/register.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { LATE_HEADER, ORDER_HEADER } from '../core/replica-csv.ts'
import { latePath, orderPath } from './file-names.ts'
import { RowFiles } from './row-files.ts'
import { type LeftOut, Rows } from './rows.ts'
import type { ReplicaMetrics } from './replica-metrics.ts'
import type { ReplicaState } from './state.ts'

/** Upper bound on what is rewritten after a crash; an fsync costs the same however little it flushes. */
const CHECKPOINT_MS = 1_000
const LATE_POLL_MS = 500
const RETRY = { baseMs: 200, capMs: 5_000 }

export interface ReplicaDeps {
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly fetchSchema: FetchSchema
  readonly metrics: ReplicaMetrics
  /** The replica's folder and where it resumes, from `prepareFolder`. */
  readonly dir: string
  readonly state: ReplicaState
}

export class Replica {
  readonly #deps: ReplicaDeps
  readonly #files: RowFiles
  readonly #ordered: Rows
  readonly #late: Rows
  readonly #watch = new ProgressWatch()
  #state: ReplicaState
  #started = false
  #committing: Promise<void> | null = null
  #committedAt = 0

  constructor(deps: ReplicaDeps) {
    this.#deps = deps
    this.#state = deps.state
    this.#files = new RowFiles(deps.dir)
    this.#ordered = new Rows(deps.fetchSchema, this.#files, ORDER_HEADER, (_partition, ...sensor) =>
      orderPath(...sensor),
    )
    this.#late = new Rows(deps.fetchSchema, this.#files, LATE_HEADER, latePath)
  }

  /** Rows below it have been passed to the files; null before the start. */
  get nextSequence(): number | null {
    return this.#state.next_sequence
  }

  check(): CheckResult {
    return this.#started
      ? this.#watch.check(this.#deps.clock.mono())
      : { ready: false, detail: 'looking for its place' }
  }

  /** Runs until the signal fires; then everything it has read is on disk. Rejects when it cannot continue. */
  async run(signal: AbortSignal): Promise<void> {
    const end = new AbortController()
    const both = AbortSignal.any([signal, end.signal])
    const ended = (work: Promise<void>): Promise<void> => work.finally(() => end.abort())
    try {
      await this.#retryWhileRunning('finding its place', both, () => this.#begin())
      // Both must have ended before the files are closed, also when one of them has failed.
      const outcomes = await Promise.allSettled([
        ended(this.#retryWhileRunning('following the order', both, () => this.#followOrder(both))),
        ended(this.#retryWhileRunning('following late readings', both, () => this.#followLate(both))),
      ])
      const failed = outcomes.find((outcome) => outcome.status === 'rejected')
      if (failed !== undefined) throw failed.reason
      if (this.#started) await this.#commit()
    } finally {
      this.#files.close()
    }
  }

  /** Decides where a fresh replica begins, or verifies that a resumed one continues with the same order. */
  async #begin(): Promise<void> {
    const { kafka, fetchSchema, log } = this.#deps
    const [reader, admin] = await Promise.all([OrderReader.open({ kafka, fetchSchema }), kafka.admin()])
    try {
      if (this.#state.next_sequence !== null) await checkSameOrder(reader, this.#state)
      else {
        const first = await reader.firstSequence()
        const late = (await admin.offsetRanges(LATE)).map(({ start }) => start)
        if (first === null || first > 0)
          log.warn(
            { first_sequence: first },
            'retention has removed the beginning of the order; this replica begins after it',
          )
        this.#state = {
          ...this.#state,
          first_sequence: first,
          next_sequence: first,
          late_first: late,
          late_next: late,
        }
      }
    } finally {
      await Promise.allSettled([reader.close(), admin.close()])
    }
    log.info({ next_sequence: this.#state.next_sequence, dir: this.#deps.dir }, 'replica continues')
    await this.#commit()
    this.#started = true
  }

  async #followOrder(signal: AbortSignal): Promise<void> {
    const { kafka, fetchSchema, metrics } = this.#deps
    const reader = await OrderReader.open({ kafka, fetchSchema })
    try {
      await reader.follow({
        from: this.#state.next_sequence,
        signal,
        onChunk: (chunk) => this.#take(chunk),
        onProgress: async ({ nextOffset, endOffset, idle }) => {
          metrics.lag(Math.max(0, endOffset - nextOffset))
          this.#observe(!idle && nextOffset < endOffset)
          // While catching up, rows are flushed in megabytes; readers must not wait.
          if (idle) this.#files.flush()
          await this.#commitIfDue()
        },
      })
    } finally {
      await reader.close()
    }
  }

  async #take({ sequence, partition, batch, from, to }: OrderChunk): Promise<void> {
    const { metrics } = this.#deps
    const codecs = await this.#ordered.learn(batch, from, to)
    this.#nameLeftOut(
      CLEAN,
      partition,
      this.#ordered.addAll(batch, { from, to, partition }, (i) => sequence + i - from, codecs),
    )
    const next = sequence + to - from
    this.#state = {
      ...this.#state,
      first_sequence: this.#state.first_sequence ?? sequence,
      next_sequence: next,
      last: { partition, offset: batch.offset(to - 1) },
    }
    this.#files.flushIfFull()
    metrics.rows('order', to - from)
    metrics.next(next)
    this.#observe(true)
    await this.#commitIfDue()
  }

  /** A replica that has something to read must make progress. */
  #observe(hasMore: boolean): void {
    const next = this.#state.next_sequence ?? 0
    this.#watch.observe('order', next, hasMore ? next + 1 : next, this.#deps.clock.mono())
  }

  async #followLate(signal: AbortSignal): Promise<void> {
    const { kafka, clock } = this.#deps
    const [reader, admin] = await Promise.all([kafka.rangeReader(), kafka.admin()])
    try {
      while (!signal.aborted) {
        const ranges = await admin.offsetRanges(LATE)
        for (const [partition, { end }] of ranges.entries()) {
          const from = this.#state.late_next[partition] ?? 0
          if (end > from && !signal.aborted)
            await reader.read({ topic: LATE, partition }, from, end, (fetched) => this.#takeLate(fetched))
        }
        await this.#commitIfDue()
        await pause(LATE_POLL_MS, signal, clock)
      }
    } finally {
      await Promise.allSettled([reader.close(), admin.close()])
    }
  }

  async #takeLate({ partition, batches, nextOffset }: FetchedBatch): Promise<void> {
    const before = this.#state.late_next[partition] ?? 0
    for (const batch of batches) {
      const codecs = await this.#late.learn(batch, 0, batch.count)
      // No await between here and the new position: a failure must not leave rows that would be read again.
      const span = { from: batch.firstAtOrAfter(before), to: batch.count, partition }
      this.#nameLeftOut(
        LATE,
        partition,
        this.#late.addAll(batch, span, (i) => batch.offset(i), codecs),
      )
      if (batch.count > 0) this.#passLate(partition, batch.offset(batch.count - 1) + 1)
      this.#deps.metrics.rows('late', batch.count)
      this.#files.flushIfFull()
    }
    this.#passLate(partition, nextOffset)
    await this.#commitIfDue()
  }

  /** One line a batch, however many there are. */
  #nameLeftOut(topic: string, partition: number, leftOut: LeftOut | null): void {
    if (leftOut === null) return
    const { log, metrics } = this.#deps
    metrics.leftOut(topic === LATE ? 'late' : 'order', leftOut.count)
    log.warn(
      { topic, partition, offset: leftOut.offset, records: leftOut.count, reason: leftOut.reason },
      'records that are not readings were left out',
    )
  }

  #passLate(partition: number, next: number): void {
    const grow = (offsets: readonly number[]): number[] =>
      Array.from({ length: Math.max(offsets.length, partition + 1) }, (_, i) => offsets[i] ?? 0)
    const late = grow(this.#state.late_next)
    late[partition] = Math.max(late[partition], next)
    this.#state = { ...this.#state, late_first: grow(this.#state.late_first), late_next: late }
  }

  async #commitIfDue(): Promise<void> {
    if (this.#deps.clock.mono() - this.#committedAt < CHECKPOINT_MS || !this.#files.isDirty) return
    await this.#commit()
  }

  /** One at a time; concurrent callers wait for the one in progress. */
  async #commit(): Promise<void> {
    if (this.#committing !== null) return this.#committing
    this.#committing = this.#save().finally(() => (this.#committing = null))
    return this.#committing
  }

  async #save(): Promise<void> {
    const { clock, metrics } = this.#deps
    const state = this.#state
    await this.#files.commit(state, () => clock.sleep(0))
    this.#committedAt = clock.mono()
    metrics.durable(state.next_sequence ?? 0)
  }

  /**
   * Retries what an outage may have interrupted, continuing from the current state.
   * @throws what cannot pass, even while stopping: a clean end would say that the files are complete
   */
  async #retryWhileRunning(doing: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const { clock, random, log } = this.#deps
    let before = this.#state
    const lasting: unknown[] = []
    const watched = async (): Promise<void> => {
      before = this.#state
      try {
        await work()
      } catch (error) {
        if (!mayPass(error)) lasting.push(error)
        throw error
      }
    }
    await retryWhile(() => lasting.length === 0, watched, {
      backoff: RETRY,
      clock,
      random,
      signal,
      isRetriable: mayPass,
      hasProgressed: () => this.#state !== before,
      onFailure: (error) => log.warn({ reason: messageOf(error) }, `${doing} was interrupted; trying again`),
    })
    if (lasting.length > 0) throw lasting[0]
  }
}

/** Whether waiting may help: the broker or the registry is down. What they answer about their content is final. */
function mayPass(error: unknown): boolean {
  if (error instanceof KafkaError) return error.code !== 'OFFSET_OUT_OF_RANGE' && error.code !== 'CORRUPT_BATCH'
  return error instanceof PlumblineError && error.retriable
}

/** A topic that was recreated counts from 0 again: its rows must not be appended to those of the old one. */
async function checkSameOrder(reader: OrderReader, { next_sequence: next, last }: ReplicaState): Promise<void> {
  const hint = 'start the replica without --resume'
  const end = await reader.nextSequence()
  if (end !== null && end < next!)
    throw new OrderError(
      'ORDER_BEHIND',
      `the order ends before sequence ${end}, and the replica continues at ${next}: ${hint}`,
    )
  if (last === null || end === null) return
  const extent = await reader.extentOf(next! - 1).catch((error: unknown) => {
    // Retention has removed it; whether the next one is still there shows when it is read.
    if (error instanceof OrderError && error.code === 'SEQUENCE_REMOVED') return null
    throw error
  })
  if (extent === null) return
  const offset = extent.firstOffset + (next! - 1 - extent.baseSequence)
  if (extent.partition !== last.partition || offset !== last.offset)
    throw new OrderError(
      'ORDER_CHANGED',
      `sequence ${next! - 1} was offset ${last.offset} of partition ${last.partition} and is offset ${offset} of partition ${extent.partition}: ${hint}`,
    )
}
