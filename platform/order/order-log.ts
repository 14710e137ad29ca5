// telemetry.order as a log that can be searched. Its offsets are not dense, for every transaction ends in a marker, so
// a record is found by bisecting a range of offsets: one bounded fetch per step, using all records in it.
import { FramedDecoder } from '../codec/framed-decoder.ts'
import type { FetchSchema } from '../codec/register.ts'
import type { Admin, FetchedBatch, OffsetRange, RangeReader } from '../kafka/port.ts'
import type { RecordBatch } from '../kafka/record-batch/record-batch.ts'

/** An extent of clean with its place in the total order. */
export interface OrderRecord {
  readonly partition: number
  readonly firstOffset: number
  readonly count: number
  /** Sequence of its first reading. */
  readonly baseSequence: number
  readonly tsMin: number
  readonly tsMax: number
  /** Its offset in telemetry.order. */
  readonly offset: number
  /** Broker's time at which its readings got their sequences, ms. */
  readonly orderedMs: number
}

interface OrderValue {
  readonly partition: number
  readonly first_offset: number
  readonly count: number
  readonly base_sequence: number
  readonly ts_min: number
  readonly ts_max: number
}

/** A range this small is read from its start: one fetch returns it all. */
const READ_THROUGH = 10_000
/** How far before the end the last record is first looked for: only transaction markers follow it. */
const TAIL_OFFSETS = 100

export class OrderLog {
  readonly #reader: RangeReader
  readonly #admin: Admin
  readonly #decoder: FramedDecoder<OrderValue>
  readonly #topic: string

  constructor(reader: RangeReader, admin: Admin, fetchSchema: FetchSchema, topic: string) {
    this.#reader = reader
    this.#admin = admin
    this.#decoder = new FramedDecoder('order', fetchSchema)
    this.#topic = topic
  }

  async range(): Promise<OffsetRange> {
    const [range] = await this.#admin.offsetRanges(this.#topic)
    return range
  }

  /** @throws DecodeError; RegistryError while the registry cannot be reached */
  async decode(batch: RecordBatch, i: number): Promise<OrderRecord> {
    const value = await this.#decoder.decode(batch.value(i) ?? Buffer.alloc(0))
    return {
      partition: value.partition,
      firstOffset: value.first_offset,
      count: value.count,
      baseSequence: value.base_sequence,
      tsMin: value.ts_min,
      tsMax: value.ts_max,
      offset: batch.offset(i),
      orderedMs: batch.timestamp(i),
    }
  }

  /** The records at and after `from`, as they arrive. */
  follow(from: number, signal: AbortSignal, onBatch: (fetched: FetchedBatch) => Promise<void>): Promise<void> {
    return this.#reader.follow({ topic: this.#topic, partition: 0 }, from, signal, onBatch)
  }

  /**
   * Delivers the records in [from, to) until `onRecord` returns false. One fetch is in memory at a time.
   * @returns the offset after what was delivered
   */
  async scan(from: number, to: number, onRecord: (record: OrderRecord) => boolean | Promise<boolean>): Promise<number> {
    let position = from
    while (position < to) {
      const { batches, nextOffset } = await this.#fetch(position)
      for (const batch of batches) {
        for (let i = 0; i < batch.count; i += 1) {
          if (batch.offset(i) < position || batch.offset(i) >= to) continue
          if (!(await onRecord(await this.decode(batch, i)))) return batch.offset(i) + 1
        }
      }
      position = nextOffset
    }
    return position
  }

  /**
   * The first record for which `isThere` holds; it must be monotonic over the log.
   * @returns null if it holds for none, with the end of the range searched
   */
  async search(isThere: (record: OrderRecord) => boolean): Promise<{ record: OrderRecord | null; end: number }> {
    const { start, end } = await this.range()
    let found: OrderRecord | null = null
    let low = start
    let high = end
    while (low < high) {
      const middle = high - low <= READ_THROUGH ? low : Math.floor((low + high) / 2)
      const records = await this.#firstRecords(middle, high)
      if (records === null) {
        high = middle
        continue
      }
      const first = await records.at(0)
      if (isThere(first)) {
        found = first
        high = middle
        continue
      }
      const last = await records.at(records.count - 1)
      if (isThere(last)) return { record: await firstOf(records, isThere), end }
      low = last.offset + 1
    }
    return { record: found, end }
  }

  /** The last record below the offset `end`; null if there is none. */
  async last(end: number): Promise<OrderRecord | null> {
    const { start } = await this.range()
    let last: OrderRecord | null = null
    for (let to = end, width = TAIL_OFFSETS; to > start && last === null; width *= 10) {
      const from = Math.max(start, to - width)
      await this.scan(from, to, (record) => {
        last = record
        return true
      })
      to = from
    }
    return last
  }

  /**
   * The first record from which on every extent is still kept in clean; null if there is none.
   * @param starts first offset that clean keeps, by partition
   */
  async firstKept(starts: readonly number[]): Promise<{ record: OrderRecord | null; end: number }> {
    const { start, end } = await this.range()
    let low = start
    let high = end
    for (let middle = low; low < high; middle = Math.floor((low + high) / 2)) {
      const removed = await this.#firstRemoved(middle, high, starts)
      if (removed === null) high = middle
      else low = removed + 1
    }
    const records = await this.#firstRecords(low, end)
    return { record: records === null ? null : await records.at(0), end }
  }

  /** Offset of a record in [from, to) whose readings are not all kept, or null: looks at one of each partition. */
  async #firstRemoved(from: number, to: number, starts: readonly number[]): Promise<number | null> {
    const open = new Set(starts.flatMap((start, partition) => (start > 0 ? [partition] : [])))
    let removed: number | null = null
    if (open.size > 0) {
      await this.scan(from, to, ({ partition, firstOffset, offset }) => {
        if (open.delete(partition) && firstOffset < starts[partition]) removed = offset
        return open.size > 0 && removed === null
      })
    }
    return removed
  }

  /** The first fetch with a record in [from, to); null if there is none. */
  async #firstRecords(from: number, to: number): Promise<Records | null> {
    for (let position = from; position < to;) {
      const { batches, nextOffset } = await this.#fetch(position)
      const records = new Records(batches, position, to, (batch, i) => this.decode(batch, i))
      if (records.count > 0) return records
      position = nextOffset
    }
    return null
  }

  /** One fetch; there must be something to read at `from`, if only a marker. */
  async #fetch(from: number): Promise<{ batches: readonly RecordBatch[]; nextOffset: number }> {
    let batches: readonly RecordBatch[] = []
    let nextOffset = from + 1
    await this.#reader.read({ topic: this.#topic, partition: 0 }, from, from + 1, (fetched) => {
      batches = fetched.batches
      nextOffset = Math.max(nextOffset, fetched.nextOffset)
    })
    return { batches, nextOffset }
  }
}

/** Records of one fetch by number, decoded when they are asked for. */
class Records {
  readonly count: number
  readonly #places: readonly (readonly [RecordBatch, number])[]
  readonly #decode: (batch: RecordBatch, i: number) => Promise<OrderRecord>

  constructor(
    batches: readonly RecordBatch[],
    from: number,
    to: number,
    decode: (batch: RecordBatch, i: number) => Promise<OrderRecord>,
  ) {
    const places: [RecordBatch, number][] = []
    for (const batch of batches)
      for (let i = 0; i < batch.count; i += 1)
        if (batch.offset(i) >= from && batch.offset(i) < to) places.push([batch, i])
    this.#places = places
    this.count = places.length
    this.#decode = decode
  }

  at(number: number): Promise<OrderRecord> {
    const [batch, i] = this.#places[number]
    return this.#decode(batch, i)
  }
}

/** It holds for the last one. */
async function firstOf(records: Records, isThere: (record: OrderRecord) => boolean): Promise<OrderRecord> {
  let low = 0
  let high = records.count - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (isThere(await records.at(middle))) high = middle
    else low = middle + 1
  }
  return records.at(low)
}
