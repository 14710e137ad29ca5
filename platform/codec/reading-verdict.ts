// Whether a scanned reading is one that has a place: its identity within the limits, its key that of its sensor (the key
// decides the partition and the lane, so it must say what the value says), its numbers and its time possible. One
// verdict for refine and for whatever judges its work. Pure, byte by byte, and without a string for a good reading.
import { ID_BYTES_MAX, idProblem, idProblemIn, notUtf8, numberProblem, sensorKey, tsProblem } from './identity.ts'
import { NODE, SENSOR, SITE, TENANT } from './reading-plan.ts'
import type { ReadingScanner } from './reading-scanner.ts'

export interface ReadingProblem {
  readonly reason: 'INVALID_IDENTITY' | 'KEY_MISMATCH' | 'INVALID_SEQ' | 'INVALID_TIME' | 'UNDECODABLE'
  /** Names the field and the limit, for people. */
  readonly detail: string
}

const SLASH = 0x2f
/** Of a key that is wrong: more of it helps nobody. */
const KEY_CHARS_SHOWN = 300

/** @param bytes hold the value that was just scanned, and the record's key at `keyAt` */
export function readingProblem(
  scanner: ReadingScanner,
  bytes: Uint8Array,
  keyAt: number,
  keyLength: number,
): ReadingProblem | null {
  const { idAt, idLength } = scanner
  const isNamed = isLengthRight(idLength[TENANT]) && isLengthRight(idLength[SENSOR])
  if (isNamed && !isKeyOf(scanner, bytes, keyAt, keyLength)) return keyMismatch(scanner, bytes, keyAt, keyLength)
  const identity =
    idProblemIn('tenant_id', bytes, idAt[TENANT], idLength[TENANT]) ??
    idProblemIn('sensor_id', bytes, idAt[SENSOR], idLength[SENSOR]) ??
    idProblemIn('site_id', bytes, idAt[SITE], idLength[SITE]) ??
    idProblemIn('node_id', bytes, idAt[NODE], idLength[NODE])
  if (identity !== null) return { reason: 'INVALID_IDENTITY', detail: identity }
  if (scanner.badText !== null) return { reason: 'UNDECODABLE', detail: notUtf8(scanner.badText) }
  const number = numberProblem('epoch', scanner.epoch) ?? numberProblem('seq', scanner.seq)
  if (number !== null) return { reason: 'INVALID_SEQ', detail: number }
  const time = tsProblem(scanner.ts)
  return time === null ? null : { reason: 'INVALID_TIME', detail: time }
}

const isLengthRight = (length: number): boolean => length > 0 && length <= ID_BYTES_MAX

function isKeyOf({ idAt, idLength }: ReadingScanner, bytes: Uint8Array, keyAt: number, keyLength: number): boolean {
  const tenantAt = idAt[TENANT]
  const tenantLength = idLength[TENANT]
  const sensorAt = idAt[SENSOR]
  const sensorLength = idLength[SENSOR]
  if (keyLength !== tenantLength + 1 + sensorLength || bytes[keyAt + tenantLength] !== SLASH) return false
  for (let i = 0; i < tenantLength; i += 1) {
    // A slash within the tenant would let two sensors share a key.
    if (bytes[keyAt + i] !== bytes[tenantAt + i] || bytes[keyAt + i] === SLASH) return false
  }
  const sensorKeyAt = keyAt + tenantLength + 1
  for (let i = 0; i < sensorLength; i += 1) if (bytes[sensorKeyAt + i] !== bytes[sensorAt + i]) return false
  return true
}

function keyMismatch(
  { idAt, idLength }: ReadingScanner,
  bytes: Uint8Array,
  keyAt: number,
  keyLength: number,
): ReadingProblem {
  const text = (at: number, length: number): string =>
    Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString()
  const tenant = text(idAt[TENANT], idLength[TENANT])
  const given = JSON.stringify(text(keyAt, keyLength).slice(0, KEY_CHARS_SHOWN))
  const expected = JSON.stringify(sensorKey(tenant, text(idAt[SENSOR], idLength[SENSOR])))
  const detail = tenant.includes('/')
    ? idProblem('tenant_id', tenant)!
    : `the key is ${given}; by tenant_id and sensor_id of the value it must be ${expected}`
  return { reason: 'KEY_MISMATCH', detail }
}
