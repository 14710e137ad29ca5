// Builds one Kafka record batch (format v2) straight into a growing buffer while outputs are made: key and value are
// copied once and nothing becomes an object. The header is filled in when the batch is sent, for only then are
// producer id, epoch and sequence known.
import { crc32c } from '@node-rs/crc32'
import { HEADER_BYTES } from './record-batch.ts'
import { varintSize, writeVarint } from './varint.ts'

const INITIAL_BYTES = 16_384
const MAGIC = 2
const NO_HEADERS = 1 // one byte: the varint 0

export interface HeaderInput {
  readonly key: string
  readonly value: Buffer | string | null
}

export class RecordBatchBuilder {
  #buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES)
  #end = HEADER_BYTES
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Size on the wire, header included, before compression. */
  get byteLength(): number {
    return this.#end
  }

  /**
   * Appends a record whose key and value are in byte arrays; a length of -1 means null.
   * @param headers encoded by `encodeHeaders`; none where absent
   */
  append(
    key: Uint8Array,
    keyAt: number,
    keyLength: number,
    value: Uint8Array,
    valueAt: number,
    valueLength: number,
    headers?: Uint8Array,
  ): void {
    const headerBytes = headers === undefined ? NO_HEADERS : headers.length
    const delta = this.#count
    const body =
      2 + // attributes and a time delta of 0: data topics carry the broker's time
      varintSize(delta) +
      varintSize(keyLength) +
      Math.max(0, keyLength) +
      varintSize(valueLength) +
      Math.max(0, valueLength) +
      headerBytes
    const size = varintSize(body) + body
    if (this.#end + size > this.#buffer.length) this.#grow(this.#end + size)
    const buffer = this.#buffer
    let at = writeVarint(buffer, this.#end, body)
    buffer[at] = 0
    buffer[at + 1] = 0
    at = writeVarint(buffer, at + 2, delta)
    at = writeVarint(buffer, at, keyLength)
    if (keyLength > 0) at = copy(key, keyAt, keyLength, buffer, at)
    at = writeVarint(buffer, at, valueLength)
    if (valueLength > 0) at = copy(value, valueAt, valueLength, buffer, at)
    if (headers === undefined) {
      buffer[at] = 0
      at += 1
    } else {
      buffer.set(headers, at)
      at += headers.length
    }
    this.#end = at
    this.#count = delta + 1
  }

  /** Appends a record from whole buffers; null for none. */
  add(key: Uint8Array | null, value: Uint8Array | null, headers?: readonly HeaderInput[]): void {
    this.append(
      key ?? EMPTY,
      0,
      key?.length ?? -1,
      value ?? EMPTY,
      0,
      value?.length ?? -1,
      headers && encodeHeaders(headers),
    )
  }

  /** Empties the builder and keeps its buffer for the next batch. Only when the last batch is no longer in use. */
  clear(): void {
    this.#end = HEADER_BYTES
    this.#count = 0
  }

  /** Takes back the last records. @param count and byteLength as they were after the last record to keep */
  truncate(count: number, byteLength: number): void {
    this.#count = count
    this.#end = byteLength
  }

  /**
   * Completes the header and returns the batch. The bytes stay the builder's until `clear`.
   * @param time the producer's time, ms (topics with LogAppendTime overwrite it)
   * @param producerId -1 for a producer without idempotence
   */
  finish(
    time: number,
    producerId: bigint,
    producerEpoch: number,
    firstSequence: number,
    transactional: boolean,
  ): Buffer {
    const buffer = this.#buffer
    buffer.writeBigInt64BE(0n, 0) // base offset: assigned by the broker
    buffer.writeInt32BE(this.#end - 12, 8)
    buffer.writeInt32BE(-1, 12) // partition leader epoch: set by the broker
    buffer.writeInt8(MAGIC, 16)
    buffer.writeInt16BE(transactional ? 0x10 : 0, 21)
    buffer.writeInt32BE(this.#count - 1, 23)
    buffer.writeBigInt64BE(BigInt(time), 27)
    buffer.writeBigInt64BE(BigInt(time), 35)
    buffer.writeBigInt64BE(producerId, 43)
    buffer.writeInt16BE(producerEpoch, 51)
    buffer.writeInt32BE(firstSequence, 53)
    buffer.writeInt32BE(this.#count, 57)
    const batch = buffer.subarray(0, this.#end)
    buffer.writeUInt32BE(crc32c(batch.subarray(21)), 17)
    return batch
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
  }
}

const EMPTY = new Uint8Array(0)

/** Up to this many bytes a loop is cheaper than a call into the runtime, which makes an object for the slice. */
const LOOP_BYTES = 192

function copy(from: Uint8Array, fromAt: number, length: number, to: Buffer, at: number): number {
  if (length <= LOOP_BYTES) {
    for (let i = 0; i < length; i += 1) to[at + i] = from[fromAt + i]
  } else {
    to.set(from.subarray(fromAt, fromAt + length), at)
  }
  return at + length
}

/** Headers as the record format has them, count included; encode once and reuse where they repeat. */
export function encodeHeaders(headers: readonly HeaderInput[]): Buffer {
  const parts = headers.map(({ key, value }) => {
    const bytes = Buffer.from((value ?? EMPTY) as Buffer)
    return { key: Buffer.from(key), value: bytes, valueLength: value === null ? -1 : bytes.length }
  })
  const size = parts.reduce(
    (sum, { key, value, valueLength }) =>
      sum + varintSize(key.length) + key.length + varintSize(valueLength) + value.length,
    varintSize(parts.length),
  )
  const bytes = Buffer.allocUnsafe(size)
  let at = writeVarint(bytes, 0, parts.length)
  for (const { key, value, valueLength } of parts) {
    at = writeVarint(bytes, at, key.length)
    bytes.set(key, at)
    at = writeVarint(bytes, at + key.length, valueLength)
    bytes.set(value, at)
    at += value.length
  }
  return bytes
}
