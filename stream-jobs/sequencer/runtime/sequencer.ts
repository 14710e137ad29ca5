// The sequencer while it is the active one: it holds the count and the transactional producer. What arrived from all
// partitions of the extents is one transaction:
//   1. order records, in the order in which they got their sequences
//   2. a view, if there is a new one, and the tombstone of the one that is now too old
//   3. the extents' offsets, each with the next sequence as metadata: recovery reads nothing else
//   4. commit
// After any error it is dead: producer and count are discarded and reacquired (member.ts).
import type { Clock } from '../../../platform/clock.ts'
import type { FetchedBatch, OffsetCommit, Transaction, TransactionalProducer } from '../../../platform/kafka/port.ts'
import type { RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import type { View } from '../../../platform/membership/cluster-state.ts'
import { DecodeError, type FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import type { Extent, Sequence } from '../core/sequence.ts'
import { encodeReached } from './metadata.ts'
import { OrderBatches } from './order-batches.ts'
import { viewRecords } from './view-log.ts'

/** The steps of the commit protocol, for tests that stop the process between any two of them. */
export type SequencerStep = 'begun' | 'order-sent' | 'view-sent' | 'offset-sent' | 'committed'

/** Where the sequencer reads and writes. Benchmarks run it on topics of their own. */
export interface SequencerTopics {
  readonly extents: string
  readonly order: string
  readonly nodes: string
  readonly views: string
}

export interface SequencerSettings {
  readonly group: string
  readonly topics: SequencerTopics
  readonly orderSchemaId: number
  readonly viewSchemaId: number
}

export interface OrderReport {
  readonly nextSequence: number
  readonly extents: number
  readonly readings: number
  readonly commitMs: number
}

export interface SequencerDeps {
  readonly clock: Clock
  readonly settings: SequencerSettings
  readonly extents: FramedDecoder<Extent>
  readonly onCommit: (report: OrderReport) => void
  readonly onStep?: (step: SequencerStep) => void
}

export class Sequencer {
  readonly sequence: Sequence
  /** The last published view, by the leader at that time. */
  readonly lastView: View | null
  readonly #deps: SequencerDeps
  readonly #producer: TransactionalProducer
  readonly #missing: readonly number[]
  /** Partitions whose tails were passed since the last transaction. */
  readonly #passed = new Set<number>()

  constructor(
    deps: SequencerDeps,
    parts: {
      producer: TransactionalProducer
      sequence: Sequence
      lastView: View | null
      /** Partitions without a committed offset. */
      missing: readonly number[]
    },
  ) {
    this.#deps = deps
    this.#producer = parts.producer
    this.sequence = parts.sequence
    this.lastView = parts.lastView
    this.#missing = parts.missing
  }

  /** Commits the start of new partitions, before anything of theirs is in the order. */
  async begin(): Promise<void> {
    if (this.#missing.length === 0) return
    const transaction = await this.#producer.begin()
    await this.#finish(transaction, this.#missing)
  }

  /**
   * Nothing but aborted records and markers is left below `position`. The next transaction commits that: when retention
   * has taken them from an idle partition, an offset in front of them would look as if extents had been missed.
   * @returns whether the partition's position was below it
   */
  passTail(partition: number, position: number): boolean {
    if (this.sequence.reached(partition).position >= position) return false
    this.sequence.pass(partition, position)
    this.#passed.add(partition)
    return true
  }

  /**
   * Appends what was fetched to the order. Rejects when anything is in doubt; the sequencer is then dead.
   * @throws ExtentError, DecodeError when the log contradicts itself and continuing would be wrong
   */
  async commit(fetched: readonly FetchedBatch[], view: View | null): Promise<void> {
    const { clock, onCommit, settings } = this.#deps
    const started = clock.mono()
    const before = this.sequence.next
    const { orders, advanced } = await this.#take(fetched)
    for (const partition of this.#passed) advanced.add(partition)
    this.#passed.clear()
    if (advanced.size === 0 && view === null) return
    const transaction = await this.#producer.begin()
    this.#step('begun')
    for (const records of orders) await transaction.send([{ topic: settings.topics.order, partition: 0, records }])
    if (orders.length > 0) this.#step('order-sent')
    if (view !== null) {
      const records = viewRecords(view, settings.viewSchemaId)
      await transaction.send([{ topic: settings.topics.views, partition: 0, records }])
      this.#step('view-sent')
    }
    await this.#finish(transaction, [...advanced])
    const extents = orders.reduce((sum, { count }) => sum + count, 0)
    const { next } = this.sequence
    onCommit({ nextSequence: next, extents, readings: next - before, commitMs: clock.mono() - started })
  }

  async close(): Promise<void> {
    await this.#producer.close()
  }

  /** Gives every extent its place. */
  async #take(fetched: readonly FetchedBatch[]): Promise<{ orders: RecordBatchBuilder[]; advanced: Set<number> }> {
    const { extents, settings } = this.#deps
    const orders = new OrderBatches(settings.orderSchemaId)
    const advanced = new Set<number>()
    for (const { partition, batches, nextOffset } of fetched) {
      for (const batch of batches) {
        for (let i = batch.firstAtOrAfter(this.sequence.reached(partition).position); i < batch.count; i += 1) {
          orders.add(this.sequence.append(partition, batch.offset(i), await decode(extents, batch.value(i))))
          advanced.add(partition)
        }
      }
      this.sequence.pass(partition, nextOffset)
    }
    return { orders: orders.batches, advanced }
  }

  async #finish(transaction: Transaction, partitions: readonly number[]): Promise<void> {
    const { settings } = this.#deps
    const { next } = this.sequence
    const offsets = partitions.map((partition): OffsetCommit => {
      const { position, cleanEnd } = this.sequence.reached(partition)
      const metadata = encodeReached({ v: 1, next_sequence: next, clean_end: cleanEnd })
      return { topic: settings.topics.extents, partition, offset: position, metadata }
    })
    if (offsets.length > 0) {
      await transaction.sendOffsets(settings.group, offsets)
      this.#step('offset-sent')
    }
    await transaction.commit()
    this.#step('committed')
  }

  #step(step: SequencerStep): void {
    this.#deps.onStep?.(step)
  }
}

async function decode(decoder: FramedDecoder<Extent>, value: Buffer | null): Promise<Extent> {
  if (value === null) throw new DecodeError('NOT_FRAMED', 'an extent without a value: it was not written by refine')
  return decoder.decode(value)
}
