// One Kafka record batch (format v2), read-only: typed columns over the bytes that came from the wire.
// Nothing is copied and no record becomes an object; anyone who needs a key or a value asks for its place in `bytes`.
import { crc32c } from '@node-rs/crc32'
import { KafkaError } from '../../errors.ts'
import { decompress } from './compression.ts'
import { readVarint, varintEnd } from './varint.ts'

/** Bytes of a batch before its records; see org.apache.kafka.common.record.DefaultRecordBatch. */
export const HEADER_BYTES = 61

const COMPRESSION_MASK = 0x07
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20
/** Columns of one record: offset delta, key place, key length, value place, value length, headers place. */
const STRIDE = 6
/** Byte 0 and a schema id; see platform/codec/framing.ts. */
const FRAME_BYTES = 5

export interface Header {
  readonly key: string
  readonly value: Buffer | null
}

export class RecordBatch {
  readonly count: number
  readonly baseOffset: number
  /** Offset of the last record that the batch was written with, compacted ones included. */
  readonly lastOffset: number
  /** The (decompressed) records, followed by values that got a frame. */
  bytes: Buffer
  readonly producerId: bigint
  readonly transactional: boolean
  readonly control: boolean
  /** CRC-32C over attributes to the end, as the broker keeps it. */
  readonly crc: number
  /** Why the batch cannot be read, with the offsets it covers; null if it can. See `readRecordBatch`. */
  readonly problem: string | null
  readonly #columns: Int32Array
  readonly #times: Float64Array | null
  readonly #appendTime: number
  /** Place and length of values before they got a frame, by record. */
  #unframed: Map<number, readonly [at: number, length: number]> | null = null
  #framedEnd = 0

  /**
   * @param batch the whole batch, header included
   * @param firstOffset records below it are left out (a fetch may begin inside a batch)
   * @throws KafkaError CORRUPT_BATCH when the checksum or the structure is wrong
   */
  constructor(batch: Buffer, firstOffset = 0, problem: string | null = null) {
    this.problem = problem
    if (batch.length < HEADER_BYTES)
      throw new KafkaError(
        'CORRUPT_BATCH',
        `record batch of ${batch.length} bytes: its header alone has ${HEADER_BYTES}`,
      )
    this.crc = batch.readUInt32BE(17)
    if (crc32c(batch.subarray(21)) !== this.crc) throw corrupt(batch, 'its checksum is wrong')
    const attributes = batch.readInt16BE(21)
    this.baseOffset = Number(batch.readBigInt64BE(0))
    this.lastOffset = this.baseOffset + batch.readInt32BE(23)
    this.producerId = batch.readBigInt64BE(43)
    this.transactional = (attributes & TRANSACTIONAL) !== 0
    this.control = (attributes & CONTROL) !== 0
    const baseTime = Number(batch.readBigInt64BE(27))
    this.#appendTime = (attributes & LOG_APPEND_TIME) !== 0 ? Number(batch.readBigInt64BE(35)) : -1
    const declared = batch.readInt32BE(57)
    const codec = attributes & COMPRESSION_MASK
    this.bytes = codec === 0 ? batch.subarray(HEADER_BYTES) : decompress(codec, batch.subarray(HEADER_BYTES))
    // A record takes at least 7 bytes: a count beyond that is a lie and must not size an array.
    if (declared < 0 || declared * 7 > this.bytes.length) throw corrupt(batch, `it claims ${declared} records`)
    this.#columns = new Int32Array(declared * STRIDE)
    this.#times = this.#appendTime < 0 ? new Float64Array(declared) : null
    this.count = this.#parse(declared, firstOffset - this.baseOffset, baseTime, batch)
  }

  offset(i: number): number {
    return this.baseOffset + this.#columns[i * STRIDE]
  }

  /** Index of the first record at or after `offset`; the count if there is none. */
  firstAtOrAfter(offset: number): number {
    let low = 0
    let high = this.count
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.offset(middle) < offset) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Arrival time (LogAppendTime) or, on a topic without it, the producer's time; ms. */
  timestamp(i: number): number {
    return this.#times === null ? this.#appendTime : this.#times[i]
  }

  keyAt(i: number): number {
    return this.#columns[i * STRIDE + 1]
  }

  /** Length of the key; -1 if there is none. */
  keyLength(i: number): number {
    return this.#columns[i * STRIDE + 2]
  }

  valueAt(i: number): number {
    return this.#columns[i * STRIDE + 3]
  }

  /** Length of the value; -1 if there is none (a tombstone). */
  valueLength(i: number): number {
    return this.#columns[i * STRIDE + 4]
  }

  /** The key as a slice, or null. Costs an object: not for the hot path. */
  key(i: number): Buffer | null {
    const length = this.keyLength(i)
    return length < 0 ? null : this.bytes.subarray(this.keyAt(i), this.keyAt(i) + length)
  }

  /** The value as a slice, or null. Costs an object: not for the hot path. */
  value(i: number): Buffer | null {
    const length = this.valueLength(i)
    return length < 0 ? null : this.bytes.subarray(this.valueAt(i), this.valueAt(i) + length)
  }

  /**
   * Puts byte 0 and a schema id in front of a value, for records that name their schema elsewhere; other records are left as they
   * are. Doing it again changes nothing.
   */
  frame(i: number, schemaId: number): void {
    if (this.isFramedHere(i)) return
    if (this.#unframed === null) this.#makeRoom()
    const column = i * STRIDE + 3
    const [from, length] = [this.#columns[column], this.#columns[column + 1]]
    const at = this.#framedEnd
    this.bytes[at] = 0
    this.bytes.writeUInt32BE(schemaId, at + 1)
    this.bytes.copyWithin(at + FRAME_BYTES, from, from + length)
    this.#framedEnd = at + FRAME_BYTES + length
    this.#unframed!.set(i, [from, length])
    this.#columns[column] = at
    this.#columns[column + 1] = FRAME_BYTES + length
  }

  isFramedHere(i: number): boolean {
    return this.#unframed !== null && this.#unframed.has(i)
  }

  /** Place and length (-1: none) of a value as it arrived, without a frame that it got here. */
  arrivedValue(i: number): readonly [at: number, length: number] {
    return this.#unframed?.get(i) ?? [this.valueAt(i), this.valueLength(i)]
  }

  /** Once per batch, for every value that may still get a frame: they are those with headers. */
  #makeRoom(): void {
    let room = 0
    for (let i = 0; i < this.count; i += 1)
      if (this.hasHeaders(i)) room += FRAME_BYTES + Math.max(0, this.valueLength(i))
    const larger = Buffer.allocUnsafe(this.bytes.length + room)
    this.bytes.copy(larger)
    this.#framedEnd = this.bytes.length
    this.bytes = larger
    this.#unframed = new Map()
  }

  hasHeaders(i: number): boolean {
    return this.#columns[i * STRIDE + 5] >= 0
  }

  /** All headers, decoded. Costs objects: not for the hot path. */
  headers(i: number): Header[] {
    let at = this.#columns[i * STRIDE + 5]
    if (at < 0) return []
    const count = readVarint(this.bytes, at)
    at = varintEnd(this.bytes, at)
    const headers: Header[] = []
    for (let h = 0; h < count; h += 1) {
      const keyLength = readVarint(this.bytes, at)
      at = varintEnd(this.bytes, at)
      const key = this.bytes.toString('utf8', at, at + keyLength)
      at += keyLength
      const valueLength = readVarint(this.bytes, at)
      at = varintEnd(this.bytes, at)
      headers.push({ key, value: valueLength < 0 ? null : this.bytes.subarray(at, at + valueLength) })
      at += Math.max(0, valueLength)
    }
    return headers
  }

  /** Fills the columns; returns how many records are at or after `firstDelta`. */
  #parse(declared: number, firstDelta: number, baseTime: number, batch: Buffer): number {
    const { bytes } = this
    const columns = this.#columns
    const times = this.#times
    const greatestDelta = this.lastOffset - this.baseOffset
    let at = 0
    let kept = 0
    let lastDelta = -1
    for (let i = 0; i < declared; i += 1) {
      const length = readVarint(bytes, at)
      at = varintEnd(bytes, at)
      const end = at + length
      if (length < 6 || end > bytes.length) throw corrupt(batch, `record ${i} has length ${length}`)
      at += 1 // attributes of a record: unused by the format
      const timeDelta = readVarint(bytes, at)
      at = varintEnd(bytes, at)
      const offsetDelta = readVarint(bytes, at)
      at = varintEnd(bytes, at)
      const keyLength = readVarint(bytes, at)
      const keyAt = varintEnd(bytes, at)
      at = keyAt + Math.max(0, keyLength)
      const valueLength = readVarint(bytes, at)
      const valueAt = varintEnd(bytes, at)
      at = valueAt + Math.max(0, valueLength)
      if (at >= end || (bytes[at] === 0 ? at + 1 : headersEnd(bytes, at, end)) !== end)
        throw corrupt(batch, `record ${i} does not end where it says`)
      // Compaction leaves gaps, but rereading a batch from an offset must yield the same records as before.
      if (offsetDelta <= lastDelta || offsetDelta > greatestDelta)
        throw corrupt(batch, `record ${i} has offset delta ${offsetDelta}`)
      lastDelta = offsetDelta
      if (offsetDelta >= firstDelta) {
        const column = kept * STRIDE
        columns[column] = offsetDelta
        columns[column + 1] = keyAt
        columns[column + 2] = keyLength
        columns[column + 3] = valueAt
        columns[column + 4] = valueLength
        columns[column + 5] = bytes[at] === 0 ? -1 : at
        if (times !== null) times[kept] = baseTime + timeDelta
        kept += 1
      }
      at = end
    }
    if (at !== bytes.length) throw corrupt(batch, `${bytes.length - at} bytes follow its ${declared} records`)
    return kept
  }
}

/**
 * Reads a batch that may be damaged. One that cannot be unpacked or parsed (too large when unpacked, an unknown codec, a
 * wrong checksum, a structure that contradicts itself) becomes a batch of one record without key and value, at its last
 * offset, and `problem` names its offsets and the reason. So every reader gives it the verdict that it gives to any
 * record that it cannot read, and continues after it: nobody has to skip a batch by hand, and nobody stops at one.
 */
export function readRecordBatch(batch: Buffer, firstOffset = 0): RecordBatch {
  try {
    return new RecordBatch(batch, firstOffset)
  } catch (error) {
    if (!(error instanceof KafkaError) || batch.length < HEADER_BYTES) throw error
    const base = Number(batch.readBigInt64BE(0))
    const last = base + Math.max(0, batch.readInt32BE(23))
    const why = error.cause instanceof Error ? `${error.message} (${error.cause.message})` : error.message
    return new RecordBatch(placeholderOf(batch), firstOffset, `offsets ${base} to ${last} cannot be read: ${why}`)
  }
}

/** A sealed batch with the header of a damaged one and a single record, without key and value, at its last offset. */
function placeholderOf(damaged: Buffer): Buffer {
  const delta = Math.max(0, damaged.readInt32BE(23))
  const deltaBytes: number[] = []
  let rest = delta * 2 // zigzag
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) deltaBytes.push((rest % 0x80) | 0x80)
  // Attributes, time delta 0, offset delta, no key, no value, no headers.
  const record = [0, 0, ...deltaBytes, rest, 1, 1, 0]
  const batch = Buffer.concat([damaged.subarray(0, HEADER_BYTES), Buffer.from([record.length * 2, ...record])])
  const isSound = crc32c(damaged.subarray(21)) === damaged.readUInt32BE(17)
  let attributes = damaged.readInt16BE(21) & ~COMPRESSION_MASK
  if (!isSound) {
    // A possibly damaged time must not advance any clock.
    attributes |= LOG_APPEND_TIME
    batch.writeBigInt64BE(0n, 35)
  }
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(attributes, 21)
  batch.writeInt32BE(delta, 23)
  batch.writeInt32BE(1, 57)
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

/** Batches delivered together unpack to at most about this; it bounds what a partition holds in memory. */
const HAND_OVER_BYTES = 32 * 1024 * 1024

export interface HandOver {
  readonly batches: readonly RecordBatch[]
  /** Offset to read next. */
  readonly nextOffset: number
}

/**
 * Unpacks fetched batches, piece by piece: many small compressed ones may unpack to far more than the fetch had.
 * @param lastOffset of the fetch, with what was left out of `encoded`
 */
export function* unpack(
  encoded: readonly { readonly bytes: Buffer }[],
  firstOffset: number,
  lastOffset: number,
): Generator<HandOver> {
  let batches: RecordBatch[] = []
  let bytes = 0
  for (const [i, message] of encoded.entries()) {
    const batch = readRecordBatch(message.bytes, firstOffset)
    batches.push(batch)
    bytes += batch.bytes.length
    if (bytes < HAND_OVER_BYTES || i === encoded.length - 1) continue
    yield { batches, nextOffset: batch.lastOffset + 1 }
    batches = []
    bytes = 0
  }
  yield { batches, nextOffset: lastOffset + 1 }
}

/** The position after the headers that begin at `at`; -1 if they exceed `end`. Every header takes 2 bytes or more. */
function headersEnd(bytes: Buffer, at: number, end: number): number {
  const count = readVarint(bytes, at)
  at = varintEnd(bytes, at)
  if (count < 0 || count * 2 > end - at) return -1
  for (let h = 0; h < count; h += 1) {
    const keyLength = readVarint(bytes, at)
    if (keyLength < 0) return -1
    at = varintEnd(bytes, at) + keyLength
    if (at >= end) return -1
    const valueLength = readVarint(bytes, at)
    at = varintEnd(bytes, at) + Math.max(0, valueLength)
    if (at > end) return -1
  }
  return at
}

const corrupt = (batch: Buffer, what: string): KafkaError =>
  new KafkaError('CORRUPT_BATCH', `record batch at offset ${batch.readBigInt64BE(0)}: ${what}`)
