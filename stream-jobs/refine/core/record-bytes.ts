// The layout of a record's bytes: the frame of its value, its schema id, and small copies of what is kept.
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import type { RecordBytes } from './outputs.ts'

export const isFramed = (batch: RecordBatch, i: number): boolean =>
  batch.valueLength(i) >= FRAME_BYTES && batch.bytes[batch.valueAt(i)] === 0

/** The schema id of a framed value. */
export const schemaIdAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0

const NOTHING = new Uint8Array(0)
export const NO_BYTES = { key: NOTHING, value: NOTHING }

/** Small copies of their own: a slice would keep the whole batch in memory. */
export const copyOf = (bytes: Uint8Array, at: number, length: number): Uint8Array =>
  new Uint8Array(bytes.subarray(at, at + length))

/** Key and value of a record, as copies. */
export const copiesOf = (batch: RecordBatch, i: number): { key: Uint8Array; value: Uint8Array } => ({
  key: copyOf(batch.bytes, batch.keyAt(i), batch.keyLength(i)),
  value: copyOf(batch.bytes, batch.valueAt(i), batch.valueLength(i)),
})

export const recordOf = (batch: RecordBatch, i: number): RecordBytes => ({
  key: batch.bytes,
  keyAt: batch.keyAt(i),
  keyLength: batch.keyLength(i),
  value: batch.bytes,
  valueAt: batch.valueAt(i),
  valueLength: batch.valueLength(i),
})
