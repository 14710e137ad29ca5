// Makes WAL entries of readings: one growing buffer, written to disk in one call and later sent from the very same
// bytes, so a reading is encoded once. Numbers are staged in the lanes; the log commits them when the bytes are written.
import type avsc from 'avsc'
import { InputError } from '../errors.ts'
import { FRAME_BYTES, type Reading } from '../codec/reading.ts'
import { MAX_RECORD_BYTES } from '../../schemas/topics.ts'
import { ENTRY_HEADER_BYTES, FOREIGN, FOREIGN_PREFIX_BYTES, OWN, OWN_PREFIX_BYTES, sealEntry } from './format.ts'
import type { Lane } from './lanes.ts'

const INITIAL_BYTES = 16_384
/** What a record batch of one record needs beside key and value: its header (61) and the record's own fields. */
const RECORD_OVERHEAD_BYTES = 100

export class EntryBatch {
  readonly #type: avsc.Type
  readonly #schemaId: number
  #buffer: Buffer = Buffer.allocUnsafe(INITIAL_BYTES)
  #end = 0
  #count = 0
  #lastTs = 0
  /** Lane of each reading, for commit and roll-back. */
  readonly #lanes: Lane[] = []
  readonly #seqs: number[] = []

  constructor(type: avsc.Type, schemaId: number) {
    this.#type = type
    this.#schemaId = schemaId
  }

  get count(): number {
    return this.#count
  }

  get byteLength(): number {
    return this.#end
  }

  /** Greatest event time among the readings that the log numbers, ms; 0 where there is none. */
  get lastTs(): number {
    return this.#lastTs
  }

  /** The entries. They stay this batch's until `reset`: copy what is to be kept. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#end)
  }

  /**
   * Appends a reading; `epoch` and `seq` of an own lane are filled in here.
   * @throws InputError RECORD_TOO_LARGE; the batch is then as before
   */
  add(lane: Lane, reading: Reading): void {
    if (lane.own) {
      reading.epoch = lane.epoch
      reading.seq = lane.stagedSeq
    }
    const start = this.#end
    const prefix = lane.own ? OWN_PREFIX_BYTES : FOREIGN_PREFIX_BYTES
    const keyAt = start + ENTRY_HEADER_BYTES + prefix
    const valueAt = keyAt + lane.keyBytes.length
    const end = this.#encode(valueAt + FRAME_BYTES, reading)
    const recordBytes = end - keyAt + RECORD_OVERHEAD_BYTES
    if (recordBytes > MAX_RECORD_BYTES)
      throw new InputError(
        'RECORD_TOO_LARGE',
        'tags',
        `the reading takes ${recordBytes} bytes as a record; the limit is ${MAX_RECORD_BYTES}`,
      )
    const buffer = this.#buffer
    buffer[start + ENTRY_HEADER_BYTES] = lane.own ? OWN : FOREIGN
    buffer.writeDoubleLE(reading.ts, start + ENTRY_HEADER_BYTES + 1)
    if (!lane.own) {
      buffer.writeDoubleLE(reading.epoch, start + ENTRY_HEADER_BYTES + 9)
      buffer.writeDoubleLE(reading.seq, start + ENTRY_HEADER_BYTES + 17)
    }
    buffer.writeUInt16LE(lane.keyBytes.length, keyAt - 2)
    buffer.set(lane.keyBytes, keyAt)
    buffer[valueAt] = 0
    buffer.writeInt32BE(this.#schemaId, valueAt + 1)
    sealEntry(buffer, start, end)
    this.#take(lane, reading, end)
  }

  /** The bytes are on disk: the staged numbers count. */
  commit(): void {
    for (let i = 0; i < this.#count; i += 1) {
      const lane = this.#lanes[i]
      lane.count += 1
      lane.lastSeq = Math.max(lane.lastSeq, this.#seqs[i])
    }
    this.#empty()
  }

  /** The bytes were refused: the staged numbers go back. */
  rollback(): void {
    for (const lane of this.#lanes) lane.stagedSeq = lane.lastSeq + 1
    this.#empty()
  }

  #take(lane: Lane, reading: Reading, end: number): void {
    if (lane.own) {
      lane.stagedSeq += 1
      if (reading.ts > this.#lastTs) this.#lastTs = reading.ts
    }
    this.#lanes.push(lane)
    this.#seqs.push(reading.seq)
    this.#end = end
    this.#count += 1
  }

  /** Encodes at `at` and returns the end; avsc answers with a negative number when there is no room. */
  #encode(at: number, reading: Reading): number {
    if (at > this.#buffer.length) this.#grow(at)
    for (;;) {
      const end = this.#type.encode(reading, this.#buffer, at)
      if (end >= 0) return end
      this.#grow(this.#buffer.length - end)
    }
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    this.#buffer.copy(larger, 0, 0, this.#end)
    this.#buffer = larger
  }

  #empty(): void {
    this.#end = 0
    this.#count = 0
    this.#lastTs = 0
    this.#lanes.length = 0
    this.#seqs.length = 0
  }
}
