// Whether a record's key and its value name the same sensor: the key decides the partition and the lane, so it must say
// what the value says. Compared byte by byte, for this runs for every record.
import type { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import type { RecordBatchView } from '../../../platform/kafka/record-batch/view.ts'
import type { Problem } from './outputs.ts'

/** An identifier longer than this is a mistake of the sender. */
const ID_BYTES_MAX = 256
const SLASH = 0x2f

const INVALID_IDENTITY: Problem = {
  reason: 'INVALID_IDENTITY',
  detail: `tenant_id and sensor_id must have from 1 to ${ID_BYTES_MAX} bytes`,
}
const KEY_MISMATCH: Problem = {
  reason: 'KEY_MISMATCH',
  detail: 'the key must be tenant_id/sensor_id of the value, and tenant_id without a slash',
}

/** @param scanner has just scanned the value of record `i`, which has a key */
export function identityProblem(scanner: ReadingScanner, view: RecordBatchView, i: number): Problem | null {
  const { tenantAt, tenantLength, sensorAt, sensorLength } = scanner
  if (tenantLength === 0 || sensorLength === 0) return INVALID_IDENTITY
  if (tenantLength > ID_BYTES_MAX || sensorLength > ID_BYTES_MAX) return INVALID_IDENTITY
  const { bytes } = view
  const keyAt = view.keyAt(i)
  if (view.keyLength(i) !== tenantLength + 1 + sensorLength || bytes[keyAt + tenantLength] !== SLASH)
    return KEY_MISMATCH
  for (let b = 0; b < tenantLength; b += 1) {
    // A slash within the tenant would let two sensors share a key.
    if (bytes[keyAt + b] !== bytes[tenantAt + b] || bytes[keyAt + b] === SLASH) return KEY_MISMATCH
  }
  const sensorKeyAt = keyAt + tenantLength + 1
  for (let b = 0; b < sensorLength; b += 1) if (bytes[sensorKeyAt + b] !== bytes[sensorAt + b]) return KEY_MISMATCH
  return null
}
