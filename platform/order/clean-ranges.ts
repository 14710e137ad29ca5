// Reads the ranges of clean that extents name. A fetch brings what follows a range as well, and the next extent of that
// partition most likely begins there: it is kept, one fetch a partition (4 MiB at most), so that a request serves many
// small extents. Reading continues where it stopped, not where the extent begins: a reading in between, which is in no
// extent, is detected as well.
import { KafkaError } from '../errors.ts'
import type { Admin, RangeReader } from '../kafka/port.ts'
import type { RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { type NamedRange, nameOf, OrderError } from './errors.ts'
import type { OrderRecord } from './order-log.ts'

/** Records [from, to) of the batch, which follow each other in the order. */
export type OnPiece = (batch: RecordBatch, from: number, to: number) => void | Promise<void>

interface Lane {
  /** After the last reading delivered. */
  position: number
  /** Fetched, and not fully delivered. */
  batches: readonly RecordBatch[]
  /** After everything fetched. */
  fetchedTo: number
}

export class CleanRanges {
  readonly #reader: RangeReader
  readonly #admin: Admin
  readonly #topic: string
  readonly #lanes = new Map<number, Lane>()

  constructor(reader: RangeReader, admin: Admin, topic: string) {
    this.#reader = reader
    this.#admin = admin
    this.#topic = topic
  }

  /**
   * Delivers the readings of an extent in order.
   * @param skip how many of its first readings to skip
   * @throws OrderError naming the range; KafkaError when the broker stays unavailable; then the lanes must be discarded
   */
  async read(record: OrderRecord, skip: number, onPiece: OnPiece): Promise<void> {
    const { partition } = record
    const first = record.firstOffset + skip
    const end = record.firstOffset + record.count
    const lane = this.#lanes.get(partition) ?? { position: first, batches: [], fetchedTo: first }
    this.#lanes.set(partition, lane)
    if (first < lane.position)
      throw new OrderError(
        'EXTENT_OVERLAP',
        `${this.#topic}/${partition}: an extent begins at offset ${first}, which has its place up to ${lane.position - 1}`,
        { range: rangeOf(record, skip) },
      )
    await this.#handOver(lane, lane.batches, record, first, onPiece)
    if (lane.position < end) await this.#fetch(lane, record, first, onPiece)
    if (lane.position < end) throw this.#mismatch(record, lane.position, 'clean ends there')
    lane.batches = lane.batches.filter((batch) => batch.lastOffset >= end)
  }

  async #fetch(lane: Lane, record: OrderRecord, first: number, onPiece: OnPiece): Promise<void> {
    const at = { topic: this.#topic, partition: record.partition }
    const end = record.firstOffset + record.count
    const readFrom = (from: number): Promise<void> =>
      this.#reader.read(at, from, end, async (fetched) => {
        lane.batches = fetched.batches
        lane.fetchedTo = fetched.nextOffset
        await this.#handOver(lane, fetched.batches, record, first, onPiece)
      })
    try {
      await readFrom(Math.max(lane.position, lane.fetchedTo))
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      if (error.code === 'END_BEFORE_RANGE') throw this.#missing(record, lane.position, error)
      if (error.code !== 'OFFSET_OUT_OF_RANGE') throw error
      const { start } = (await this.#admin.offsetRanges(this.#topic))[record.partition]
      // Retention has removed what precedes the extent, and that holds no reading with a sequence.
      if (lane.position < first && start > lane.position && start <= first) return readFrom(first)
      throw this.#removed(record, Math.max(lane.position, first), start, error)
    }
  }

  /** Delivers the extent's readings in the batches, from the lane's position on. */
  async #handOver(
    lane: Lane,
    batches: readonly RecordBatch[],
    record: OrderRecord,
    first: number,
    onPiece: OnPiece,
  ): Promise<void> {
    const end = record.firstOffset + record.count
    for (const batch of batches) {
      const from = batch.firstAtOrAfter(lane.position)
      if (from === batch.count) continue
      const at = batch.offset(from)
      if (at >= end) return
      if (at < first) throw this.#mismatch(record, at, 'clean has a reading there that is in no extent')
      if (at !== Math.max(lane.position, first)) throw this.#mismatch(record, lane.position, 'clean has none there')
      const to = batch.firstAtOrAfter(end)
      const behind = batch.offset(to - 1) + 1
      if (behind - at !== to - from) throw this.#mismatch(record, at, `clean has ${to - from} up to ${behind - 1}`)
      await onPiece(batch, from, to)
      lane.position = behind
    }
  }

  #mismatch(record: OrderRecord, offset: number, what: string): OrderError {
    const range = rangeOf(record, 0)
    return new OrderError(
      'COUNT_MISMATCH',
      `an extent of ${record.count} readings, ${nameOf(this.#topic, range)}, does not fit at offset ${offset}: ${what}`,
      { range },
    )
  }

  #missing(record: OrderRecord, position: number, cause: KafkaError): OrderError {
    const range = rangeOf(record, Math.max(0, position - record.firstOffset))
    return new OrderError('RANGE_MISSING', `${nameOf(this.#topic, range)} cannot be read: ${cause.message}`, {
      range,
      cause,
      retriable: true,
    })
  }

  #removed(record: OrderRecord, from: number, start: number, cause: KafkaError): OrderError {
    const end = record.firstOffset + record.count
    if (start <= from) {
      const range = rangeOf(record, from - record.firstOffset)
      return new OrderError(
        'COUNT_MISMATCH',
        `${nameOf(this.#topic, range)} are beyond the end of clean: it was recreated, and the order was not`,
        { range, cause },
      )
    }
    const whole = rangeOf(record, from - record.firstOffset)
    const gone = Math.min(start, end) - from
    const range = { ...whole, toOffset: from + gone, toSequence: whole.fromSequence + gone }
    return new OrderError(
      'RANGE_REMOVED',
      `retention has removed ${nameOf(this.#topic, range)}: the log begins at offset ${start}`,
      { range, cause },
    )
  }
}

const rangeOf = ({ partition, firstOffset, count, baseSequence }: OrderRecord, skip: number): NamedRange => ({
  partition,
  fromOffset: firstOffset + skip,
  toOffset: firstOffset + count,
  fromSequence: baseSequence + skip,
  toSequence: baseSequence + count,
})
