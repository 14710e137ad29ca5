// Reads the total order: from any sequence or time, a range or indefinitely. It delivers
// chunks of record batches, not records: the reader decodes what it needs. Nothing is ever skipped: a sequence
// whose reading is unavailable, or an inconsistent order, is an OrderError that names it.
//
// Memory: one fetch of the order and one fetch of each partition of clean, 4 MiB each at most.
import type { FetchSchema } from '../codec/register.ts'
import { CLEAN, ORDER } from '../../schemas/topics.ts'
import { KafkaError } from '../errors.ts'
import type { Admin, Kafka, RangeReader } from '../kafka/port.ts'
import type { RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { CleanRanges } from './clean-ranges.ts'
import { OrderError } from './errors.ts'
import { OrderLog, type OrderRecord } from './order-log.ts'

/** Consecutive readings of the order: record `from + k` of the batch has the sequence `sequence + k`. */
export interface OrderChunk {
  readonly sequence: number
  /** Of clean. */
  readonly partition: number
  readonly batch: RecordBatch
  readonly from: number
  readonly to: number
  /** Broker's time at which they got their sequences, ms. */
  readonly orderedMs: number
}

export type OnChunk = (chunk: OrderChunk) => void | Promise<void>

export interface OrderProgress {
  /** Offset of telemetry.order to be read next, and its end. */
  readonly nextOffset: number
  readonly endOffset: number
  /** Nothing further has a sequence yet. */
  readonly idle: boolean
}

export interface FollowOptions {
  /** Sequence to start at; null: the first one available. */
  readonly from: number | null
  readonly signal: AbortSignal
  readonly onChunk: OnChunk
  /** After each fetch of the order, even an empty one. */
  readonly onProgress?: (progress: OrderProgress) => void | Promise<void>
}

export interface OrderReaderOptions {
  readonly kafka: Kafka
  readonly fetchSchema: FetchSchema
}

export class OrderReader {
  readonly log: OrderLog
  readonly #admin: Admin & { close(): Promise<void> }
  readonly #orders: RangeReader
  readonly #cleans: RangeReader

  private constructor(
    admin: Admin & { close(): Promise<void> },
    orders: RangeReader,
    cleans: RangeReader,
    fetchSchema: FetchSchema,
  ) {
    this.log = new OrderLog(orders, admin, fetchSchema, ORDER)
    this.#admin = admin
    this.#orders = orders
    this.#cleans = cleans
  }

  /** Connects. Following keeps the order's connection busy, so clean is read over one of its own. */
  static async open({ kafka, fetchSchema }: OrderReaderOptions): Promise<OrderReader> {
    const opened: { close(): Promise<void> }[] = []
    const keep = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
      const client = await opening
      opened.push(client)
      return client
    }
    try {
      const admin = await keep(kafka.admin())
      return new OrderReader(admin, await keep(kafka.rangeReader()), await keep(kafka.rangeReader()), fetchSchema)
    } catch (error) {
      await Promise.allSettled(opened.map((client) => client.close()))
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.allSettled([this.#admin.close(), this.#orders.close(), this.#cleans.close()])
  }

  /** The sequence that the next reading will get; null if the order keeps no record that tells. */
  async nextSequence(): Promise<number | null> {
    return this.#nextAt((await this.log.range()).end)
  }

  /** The extent that holds a sequence; null if it has no reading yet. @throws OrderError SEQUENCE_REMOVED */
  async extentOf(sequence: number): Promise<OrderRecord | null> {
    const { record } = await this.#locate(sequence)
    return record
  }

  /** The first sequence assigned at `ms` or later; null if there is none yet. */
  async sequenceAt(ms: number): Promise<number | null> {
    const { record } = await this.log.search(({ orderedMs }) => orderedMs >= ms)
    return record?.baseSequence ?? null
  }

  /** The first sequence from which on all readings are kept; null: none is kept, and the order does not tell which is next. */
  async firstSequence(): Promise<number | null> {
    const starts = (await this.#admin.offsetRanges(CLEAN)).map(({ start }) => start)
    const { record, end } = await this.log.firstKept(starts)
    // With the same end: what has arrived since is kept, and must not be skipped.
    return record === null ? this.#nextAt(end) : record.baseSequence
  }

  async #nextAt(end: number): Promise<number | null> {
    const last = await this.log.last(end)
    if (last !== null) return last.baseSequence + last.count
    return end === 0 ? 0 : null
  }

  /**
   * Delivers the sequences [from, from + limit), or fewer if the order ends before.
   * @returns the sequence after the last one delivered
   */
  async read(from: number, limit: number, onChunk: OnChunk, signal?: AbortSignal): Promise<number> {
    const walk = new Walk(new CleanRanges(this.#cleans, this.#admin, CLEAN), from, from + limit, onChunk)
    const { record, end } = await this.#locate(from)
    if (record === null) return from
    await this.log.scan(record.offset, end, async (extent) => {
      await walk.take(extent)
      return walk.next! < from + limit && signal?.aborted !== true
    })
    return Math.min(from + limit, walk.next ?? from)
  }

  /**
   * Delivers the order from a sequence on until the signal fires.
   * @throws OrderError; KafkaError when the broker stays unavailable; what a handler throws
   */
  async follow({ from, signal, onChunk, onProgress }: FollowOptions): Promise<void> {
    const start = from === null ? (await this.log.range()).start : await this.#startOf(from)
    const walk = new Walk(new CleanRanges(this.#cleans, this.#admin, CLEAN), from, Infinity, onChunk)
    await this.log
      .follow(start, signal, async ({ batches, nextOffset, endOffset }) => {
        for (const batch of batches) {
          for (let i = 0; i < batch.count; i += 1) {
            if (signal.aborted) return
            if (batch.offset(i) >= start) await walk.take(await this.log.decode(batch, i))
          }
        }
        await onProgress?.({ nextOffset, endOffset, idle: batches.length === 0 })
      })
      .catch((error: unknown) => {
        throw error instanceof KafkaError && error.code === 'OFFSET_OUT_OF_RANGE' ? removedFromOrder(walk.next) : error
      })
  }

  async #startOf(sequence: number): Promise<number> {
    const { record, end } = await this.#locate(sequence)
    return record?.offset ?? end
  }

  async #locate(sequence: number): Promise<{ record: OrderRecord | null; end: number }> {
    const found = await this.log.search(({ baseSequence, count }) => baseSequence + count > sequence)
    const base = found.record?.baseSequence
    if (base !== undefined && base > sequence) throw removedFromOrder(sequence, base)
    return found
  }
}

function removedFromOrder(sequence: number | null, first?: number): OrderError {
  const kept = first === undefined ? 'what is kept begins after it' : `what is kept begins with ${first}`
  return new OrderError('SEQUENCE_REMOVED', `the order no longer keeps sequence ${sequence ?? '?'}: ${kept}`)
}

/** Processes the records of the order one by one and delivers the wanted part of them. */
class Walk {
  /** Sequence that the next record must begin with; null before the first. */
  next: number | null = null
  readonly #ranges: CleanRanges
  readonly #from: number | null
  readonly #to: number
  readonly #onChunk: OnChunk

  constructor(ranges: CleanRanges, from: number | null, to: number, onChunk: OnChunk) {
    this.#ranges = ranges
    this.#from = from
    this.#to = to
    this.#onChunk = onChunk
  }

  async take(record: OrderRecord): Promise<void> {
    const { baseSequence, count, partition, orderedMs, offset } = record
    const from = this.#from ?? 0
    if (this.next === null ? this.#from !== null && baseSequence > from : baseSequence > this.next)
      throw new OrderError(
        'SEQUENCE_GAP',
        `sequences ${this.next ?? from} to ${baseSequence - 1} are missing before the order record at offset ${offset}`,
      )
    if (this.next !== null && baseSequence < this.next)
      throw new OrderError(
        'SEQUENCE_REPEATED',
        `the order record at offset ${offset} begins again at sequence ${baseSequence}, and ${this.next} is next`,
      )
    const skip = Math.max(0, from - baseSequence)
    if (skip < count) {
      let sequence = baseSequence + skip
      await this.#ranges.read(record, skip, async (batch, first, behind) => {
        const to = Math.min(behind, first + this.#to - sequence)
        if (to > first) await this.#onChunk({ sequence, partition, batch, from: first, to, orderedMs })
        sequence += behind - first
      })
    }
    this.next = baseSequence + count
  }
}
