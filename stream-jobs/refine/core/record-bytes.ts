// Where things lie in the bytes of a record: the frame of its value, its schema id, and small copies of what is kept.
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import type { RecordBatchView } from '../../../platform/kafka/record-batch/view.ts'
import type { RecordBytes } from './outputs.ts'

export const isFramed = (view: RecordBatchView, i: number): boolean =>
  view.valueLength(i) >= FRAME_BYTES && view.bytes[view.valueAt(i)] === 0

/** The schema id of a framed value. */
export const schemaIdAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0

export const NOTHING = new Uint8Array(0)

/** Small copies of their own: a slice would keep the whole batch in memory. */
export const copyOf = (bytes: Uint8Array, at: number, length: number): Uint8Array =>
  new Uint8Array(bytes.subarray(at, at + length))

export const recordOf = (view: RecordBatchView, i: number): RecordBytes => ({
  key: view.bytes,
  keyAt: view.keyAt(i),
  keyLength: view.keyLength(i),
  value: view.bytes,
  valueAt: view.valueAt(i),
  valueLength: view.valueLength(i),
})
