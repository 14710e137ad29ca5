// What names a reading, and the limits of it: the one definition that every door, refine, the stores, the API, the
// replicas and the commands use. What a door accepts by these rules is never refused later for its form, and what is
// stored can be asked for. Lengths are counted in bytes of UTF-8, since that is what records, keys and files hold.
// Every function returns null for what is right, or one sentence that names the field, what it has, and the limit.
import { isUtf8 } from 'node:buffer'

/** The fields that name something, in the order of the schema. */
export const ID_FIELDS = ['tenant_id', 'site_id', 'node_id', 'sensor_id'] as const
export type IdField = (typeof ID_FIELDS)[number]

/** Bytes of UTF-8 in one identifier. Longer is a mistake: these bytes are in every record, twice. */
export const ID_BYTES_MAX = 256
/** Epoch and seq, inclusive: one bit less than a double holds exactly, so that "the next one" is exact as well. */
export const NUMBER_MAX = 2 ** 52 - 1
/** 0001-01-01 and 9999-12-31 in ms: what ISO 8601 writes with four digits, and every store takes. */
export const TS_MS_MIN = -62_135_596_800_000
export const TS_MS_MAX = 253_402_300_799_999
export const TAGS_MAX = 64
/** Bytes of UTF-8. */
export const TAG_NAME_BYTES_MAX = 256
export const TAG_VALUE_BYTES_MAX = 1_024

/** Between tenant and sensor in a record's key. A tenant has none, so the first one separates them. */
const SEPARATOR = '/'
const SLASH = 0x2f
const DOT = 0x2e

/** The record key of a reading: it decides the partition, so one sensor keeps one order. */
export const sensorKey = (tenant: string, sensor: string): string => `${tenant}${SEPARATOR}${sensor}`

/** Null where the key is not that of a sensor. */
export function sensorOfKey(key: string): { tenant: string; sensor: string } | null {
  const at = key.indexOf(SEPARATOR)
  return at < 1 || at === key.length - 1 ? null : { tenant: key.slice(0, at), sensor: key.slice(at + 1) }
}

/**
 * Site and node may be empty: the reading has none.
 * @param called the field's name where the text was given, for the sentence
 */
export function idProblem(field: IdField, text: string, called: string = field): string | null {
  if (text === '') return isNeeded(field) ? `${called} is empty` : null
  const problem = lengthProblem(called, text, ID_BYTES_MAX) ?? characterProblem(called, text)
  if (problem !== null) return problem
  // As a segment of a path, browsers and most clients would remove it before the request is sent.
  if (text === '.' || text === '..') return `${called} is "${text}", which cannot be part of a URL's path`
  if (field === 'tenant_id' && text.includes(SEPARATOR))
    return `${called} contains "/", which ends the tenant in a record's key`
  return null
}

const isNeeded = (field: IdField): boolean => field === 'tenant_id' || field === 'sensor_id'

/**
 * For an identifier that is asked for: whatever a store may hold, ids from before these rules included. In those,
 * U+FFFD stands for one byte that was not UTF-8.
 */
export function askedIdProblem(called: string, text: string): string | null {
  if (text === '') return `${called} is empty`
  if (!text.isWellFormed()) return halfPair(called)
  return lengthProblem(called, text.replaceAll('\uFFFD', '?'), ID_BYTES_MAX)
}

/**
 * `idProblem` for the bytes [at, at + length), without a string for the usual ones. Bytes that are not UTF-8 are a
 * problem: decoded, two different names would become one.
 */
export function idProblemIn(field: IdField, bytes: Uint8Array, at: number, length: number): string | null {
  if (length > 0 && length <= ID_BYTES_MAX && isPlain(bytes, at, at + length, field === 'tenant_id')) return null
  if (length > ID_BYTES_MAX) return tooLong(field, length, ID_BYTES_MAX)
  const part = Buffer.from(bytes.buffer, bytes.byteOffset + at, length)
  return isUtf8(part) ? idProblem(field, part.toString()) : notUtf8(field)
}

/** Printable ASCII that begins with no dot. */
function isPlain(bytes: Uint8Array, at: number, end: number, isTenant: boolean): boolean {
  if (bytes[at] === DOT) return false
  for (let i = at; i < end; i += 1) {
    const byte = bytes[i]
    if (byte < 0x20 || byte > 0x7e || (isTenant && byte === SLASH)) return false
  }
  return true
}

export const notUtf8 = (field: string): string => `${field} is not valid UTF-8`

/** @param field `epoch` or `seq` */
export function numberProblem(field: string, value: number): string | null {
  if (!Number.isInteger(value)) return `${field} is ${value}; it must be a whole number`
  if (value < 0) return `${field} is ${value}; it must be at least 0`
  return value > NUMBER_MAX ? `${field} is ${value}; the limit is ${NUMBER_MAX} (2^52 - 1)` : null
}

/** @param ts event time, ms since 1970 UTC */
export function tsProblem(ts: number): string | null {
  if (!Number.isInteger(ts)) return `ts is ${ts}; it must be a whole number of milliseconds since 1970`
  if (ts < TS_MS_MIN) return `ts is ${ts}; the limit is ${TS_MS_MIN} (the year 1, in milliseconds)`
  return ts > TS_MS_MAX ? `ts is ${ts}; the limit is ${TS_MS_MAX} (the year 9999, in milliseconds)` : null
}

/** One tag, whose name may be anything but empty. */
export function tagProblem(name: string, value: string): string | null {
  if (name === '') return 'tags has a tag with an empty name'
  return (
    textProblem('the name of a tag', name, TAG_NAME_BYTES_MAX) ??
    textProblem(`tags.${name}`, value, TAG_VALUE_BYTES_MAX)
  )
}

export const tagCountProblem = (count: number): string | null =>
  count > TAGS_MAX ? `tags has ${count} tags; the limit is ${TAGS_MAX}` : null

const textProblem = (field: string, text: string, bytesMax: number): string | null =>
  text.isWellFormed() ? lengthProblem(field, text, bytesMax) : halfPair(field)

function lengthProblem(field: string, text: string, bytesMax: number): string | null {
  // A UTF-16 unit has at most three bytes: most texts need not be counted.
  if (text.length * 3 <= bytesMax) return null
  const bytes = Buffer.byteLength(text)
  return bytes > bytesMax ? tooLong(field, bytes, bytesMax) : null
}

const tooLong = (field: string, bytes: number, bytesMax: number): string =>
  `${field} has ${bytes} bytes; the limit is ${bytesMax} bytes of UTF-8`

const halfPair = (field: string): string => `${field} contains half of a surrogate pair, which has no UTF-8`

function characterProblem(field: string, text: string): string | null {
  if (!text.isWellFormed()) return halfPair(field)
  // What decoders put in place of bytes that they cannot read: names that differed there have become one.
  if (text.includes('\uFFFD')) return `${field} contains U+FFFD, the mark of text read in a wrong encoding`
  const control = /\p{Cc}/u.exec(text)
  if (control === null) return null
  const code = control[0].charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')
  return `${field} contains a control character (U+${code})`
}
