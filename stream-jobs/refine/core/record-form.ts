// What a raw record needs before its content is examined: a readable batch, a key, a value of a size
// that can be passed on, and Confluent's frame.
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { framingProblem, isFramed, schemaIdAt, schemaText } from '../../../platform/codec/framing.ts'
import { MAX_RECORD_BYTES } from '../../../schemas/topics.ts'
import type { Problem } from './outputs.ts'

/** A larger value, which only a compressed batch can bring, could not be passed on; it is what raw takes uncompressed. */
const VALUE_BYTES_MAX = MAX_RECORD_BYTES

/** Why the record does not even have the form of a reading; null if it does. */
export function formProblem(batch: RecordBatch, i: number): Problem | null {
  if (batch.problem !== null) return { reason: 'UNREADABLE_BATCH', detail: batch.problem }
  if (batch.keyLength(i) <= 0) return { reason: 'NO_KEY', detail: 'a reading needs the key tenant/sensor' }
  const bytes = batch.valueLength(i)
  if (bytes < 0) return { reason: 'NO_VALUE', detail: 'a reading needs a value' }
  if (bytes > VALUE_BYTES_MAX)
    return { reason: 'TOO_LARGE', detail: `the value has ${bytes} bytes; the limit is ${VALUE_BYTES_MAX}` }
  if (!isFramed(batch, i)) return { reason: 'NOT_FRAMED', detail: framingProblem(batch, i) }
  return null
}

/** Of a framed record. */
export const unknownSchema = (batch: RecordBatch, i: number): string =>
  `${schemaText(batch, i, schemaIdAt(batch.bytes, batch.valueAt(i)))} is not that of a Reading`
