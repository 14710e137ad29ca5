// The bytes of a record: where they are in its batch, and small copies of what is kept.
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { contentHash } from './content-hash.ts'
import type { RecordBytes } from './outputs.ts'

/** A sensor's key as the text that it is known by; empty for none. */
export const keyTextOf = (batch: RecordBatch, i: number): string =>
  batch.bytes.toString('latin1', batch.keyAt(i), batch.keyAt(i) + Math.max(0, batch.keyLength(i)))

export const hashOf = (batch: RecordBatch, i: number): number =>
  contentHash(batch.bytes, batch.valueAt(i), batch.valueLength(i))

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
