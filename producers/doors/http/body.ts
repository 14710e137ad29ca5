// The body of POST /readings as lines to be read one by one: the elements of a JSON array, one JSON object, or the lines
// of newline-delimited JSON. Nothing is built of a line before it has been counted, so that no line costs more than a
// reading can. Bytes that are not UTF-8 are refused by line and field: decoded, two names would become one.
import { isUtf8 } from 'node:buffer'
import type { Request } from 'express'
import { notUtf8, TAGS_MAX } from '../../../platform/codec/identity.ts'
import { InputError, messageOf } from '../../../platform/errors.ts'
import { clip } from '../reading-check.ts'
import { countMembers, elementsOf, membersOf, repeatedName } from '../json-text.ts'

export interface Body {
  /** The text of each, from the first on; blank lines are empty. */
  lines(): Iterable<string>
  /** Its bytes are not UTF-8: U+FFFD is where they could not be read. */
  readonly isDamaged: boolean
}

/** Content types of newline-delimited JSON. */
const LINE_TYPES = [
  'application/x-ndjson',
  'application/ndjson',
  'application/jsonl',
  'application/x-jsonlines',
  'application/jsonlines',
]
const JSON_TYPES = ['application/json', 'application/*+json']
/** More names than a reading with all metrics and tags has. */
const MEMBERS_MAX = 4 * TAGS_MAX
const REPLACEMENT = '\uFFFD'
const BOM = '\uFEFF'

const refused = (status: number, message: string): Error => Object.assign(new Error(message), { status })

/** Before the body is read. @throws with status 415 */
export function checkType(request: Request): void {
  const type = request.get('content-type') ?? ''
  const charset = /charset\s*=\s*"?([\w.:-]+)/i.exec(type)?.[1].toLowerCase()
  if (request.is([...JSON_TYPES, ...LINE_TYPES]) === false)
    throw refused(
      415,
      `${type === '' ? 'a body without a content type' : type.slice(0, 100)} is not accepted: send application/json (one reading or an array) or application/x-ndjson (one reading a line)`,
    )
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8' && charset !== 'us-ascii')
    throw refused(415, `the charset ${charset.slice(0, 40)} is not accepted: send UTF-8`)
}

/**
 * @param linesMax more than these are refused with 413, before anything is made of them
 * @throws InputError NOT_JSON
 */
export function readBody(request: Request, linesMax: number): Body {
  const bytes = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  const decoded = bytes.toString()
  const text = decoded.startsWith(BOM) ? decoded.slice(1) : decoded
  const isDamaged = !isUtf8(bytes)
  if (request.is(LINE_TYPES) !== false) {
    refuseAbove(linesMax, countLines(text))
    return { isDamaged, lines: () => linesOf(text) }
  }
  const elements = elementsOf(text, linesMax)
  if (elements === null) throw notJson(text)
  refuseAbove(linesMax, elements.count)
  if (elements.restAt !== null) throw moreThanOne(text, elements.restAt)
  const { places, isArray } = elements
  // One value, not an element: the whole body is at fault, not a line of it.
  if (!isArray) parse(text, 'body')
  return { isDamaged, lines: () => slices(text, places) }
}

function refuseAbove(limit: number, count: number): void {
  if (count > limit) throw refused(413, `${count} lines or elements; the limit is ${limit}`)
}

function notJson(text: string): InputError {
  try {
    JSON.parse(text)
  } catch (error) {
    return new InputError('NOT_JSON', 'body', `the body is not JSON: ${messageOf(error)}`)
  }
  return new InputError('NOT_JSON', 'body', 'the body is not a JSON object or an array of objects')
}

function moreThanOne(text: string, at: number): InputError {
  const line = countLines(text.slice(0, at))
  return new InputError(
    'NOT_JSON',
    'body',
    `the body is not JSON: there is more after its first value, in line ${line}; send one reading a line as application/x-ndjson`,
  )
}

function countLines(text: string): number {
  let lines = 1
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) lines += 1
  return lines
}

function* linesOf(text: string): Iterable<string> {
  for (let at = 0; at <= text.length;) {
    const end = text.indexOf('\n', at)
    yield text.slice(at, end < 0 ? text.length : end)
    if (end < 0) return
    at = end + 1
  }
}

function* slices(text: string, places: readonly number[]): Iterable<string> {
  for (let i = 0; i < places.length; i += 2) yield text.slice(places[i], places[i + 1])
}

/**
 * The value of one line.
 * @throws InputError TOO_LONG, NOT_JSON, NOT_UTF8, REPEATED_NAME
 */
export function parseLine(text: string, isDamaged: boolean): unknown {
  const members = countMembers(text, MEMBERS_MAX)
  if (members > MEMBERS_MAX)
    throw new InputError('TOO_LONG', '', `the reading has more than ${MEMBERS_MAX} names; tags may have ${TAGS_MAX}`)
  const value = parse(text, '')
  if (isDamaged && text.includes(REPLACEMENT)) {
    const field = damagedField(value)
    throw new InputError('NOT_UTF8', field, notUtf8(field === '' ? 'the line' : field))
  }
  const repeated = members === membersOf(value) ? null : repeatedName(text)
  if (repeated !== null)
    throw new InputError('REPEATED_NAME', clip(repeated), `${clip(repeated)} occurs twice in the reading`)
  return value
}

function parse(text: string, field: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const what = field === '' ? 'the line' : `the ${field}`
    throw new InputError('NOT_JSON', field, `${what} is not JSON: ${messageOf(error)}`)
  }
}

/** Where a value has U+FFFD: a field, a tag, or empty for elsewhere. */
function damagedField(value: unknown): string {
  const has = (part: unknown): boolean => typeof part === 'string' && part.includes(REPLACEMENT)
  if (typeof value !== 'object' || value === null) return ''
  for (const [name, part] of Object.entries(value)) {
    if (has(part) || has(name)) return clip(name)
    if (typeof part !== 'object' || part === null) continue
    for (const [inner, text] of Object.entries(part as object))
      if (has(text) || has(inner)) return clip(`${name}.${inner}`)
  }
  return ''
}
