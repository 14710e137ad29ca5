// A record as a person wants to see it: the Avro value by the schema that wrote it, headers and key as text, and bytes
// that are neither in hexadecimal. Nothing here trusts the bytes: whatever cannot be decoded is shown as it is.
import type avsc from 'avsc'

export interface ShownRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** ISO 8601, UTC. */
  readonly time: string
  readonly key: string | null
  readonly headers: Readonly<Record<string, string>>
  /** Decoded, or text, or { hex } of what is neither. */
  readonly value: unknown
  /** Why the value was not decoded. */
  readonly note?: string
}

const HEX_BYTES_MAX = 64
/** Of a value, key or header on a terminal; a record may have a megabyte. */
const SHOWN_CHARS_MAX = 2_000

/**
 * @param type the schema that the value or a header names; null: unknown or not an Avro value
 * @param bodyAt where the body begins: after the frame, or at 0 where a header names the schema
 */
export function decodeValue(
  value: Buffer | null,
  type: avsc.Type | null,
  bodyAt: number,
): { value: unknown; note?: string } {
  if (value === null) return { value: null, note: 'no value (a tombstone)' }
  if (type === null) return { value: textOf(value), note: 'not Avro in Confluent’s framing' }
  try {
    return { value: plain(type.fromBuffer(value.subarray(bodyAt))) }
  } catch (error) {
    return {
      value: textOf(value),
      note: `not what its schema says: ${error instanceof Error ? error.message : String(error)}`,
    }
  }
}

const PRINTABLE = /^[\P{Cc}\t\r\n]*$/u

/** Text where the bytes are text, else { hex } with an ellipsis where they are many. */
export function textOf(bytes: Buffer): string | { readonly hex: string; readonly bytes: number } {
  const text = bytes.toString('utf8')
  if (PRINTABLE.test(text) && !text.includes('\uFFFD')) return text
  const cut = bytes.subarray(0, HEX_BYTES_MAX).toString('hex')
  return { hex: bytes.length > HEX_BYTES_MAX ? `${cut}…` : cut, bytes: bytes.length }
}

/** avsc's records have types of their own, and bytes are Buffers: plain data prints better. Null metrics are left out. */
function plain(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return textOf(value)
  if (Array.isArray(value)) return value.map(plain)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== null)
      .map(([name, member]) => [name, plain(member)]),
  )
}

/** One record on a few lines for people. */
export function renderRecord({ topic, partition, offset, time, key, headers, value, note }: ShownRecord): string {
  const lines = [`${topic}/${partition} @${offset}  ${time}  key ${cut(key ?? '(none)')}`]
  for (const [name, text] of Object.entries(headers)) lines.push(`  ${name}: ${cut(text)}`)
  lines.push(
    `  ${cut(typeof value === 'string' ? value : JSON.stringify(value))}${note === undefined ? '' : `  (${note})`}`,
  )
  // Line by line: a record must not be able to fake another record's lines.
  return lines.map((line) => escapeControls(line).replaceAll('\n', '\\n')).join('\n')
}

const cut = (text: string): string =>
  text.length <= SHOWN_CHARS_MAX
    ? text
    : `${text.slice(0, SHOWN_CHARS_MAX)}… (${text.length.toLocaleString('en')} characters; --json prints all)`

/** One record as a line of JSON. */
export const renderJson = (record: ShownRecord): string => escapeControls(JSON.stringify(record))

/**
 * Records are untrusted: none of their bytes may control the terminal or change the order in which a line is read
 * (the directions of bidirectional text). The escapes are those of JSON.
 */
export const escapeControls = (text: string): string =>
  text.replace(
    /[^\P{Cc}\n\t]|[\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )

/** Names are untrusted: they must not start a new line either. */
export const escapeLine = (text: string): string => escapeControls(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t')
