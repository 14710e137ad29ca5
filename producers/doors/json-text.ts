// What JSON.parse does not tell: how many members a text has before anything is built of it, whether a name occurs twice
// in one object (the last would win without a word), and where the elements of an array are, so that each can be read
// by itself. One pass over the characters; validity beyond brackets and strings is left to JSON.parse.

const QUOTE = 0x22
const BACKSLASH = 0x5c
const COLON = 0x3a
const COMMA = 0x2c
const OPEN_BRACKET = 0x5b
const CLOSE_BRACKET = 0x5d
const OPEN_BRACE = 0x7b
const CLOSE_BRACE = 0x7d

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && isSpace(text.charCodeAt(at))) at += 1
  return at
}

/** Index after the string that begins at `at`; the text's length when it does not end. */
function stringEnd(text: string, at: number): number {
  for (let end = at + 1; ; end += 1) {
    end = text.indexOf('"', end)
    if (end < 0) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === BACKSLASH) slashes += 1
    if (slashes % 2 === 0) return end + 1
  }
}

/** Names of all objects in the text, repeated ones as often as they occur; stops counting above `limit`. */
export function countMembers(text: string, limit: number): number {
  let count = 0
  for (let at = text.indexOf('"'); at >= 0 && count <= limit;) {
    const end = stringEnd(text, at)
    if (text.charCodeAt(skipSpace(text, end)) === COLON) count += 1
    at = text.indexOf('"', end)
  }
  return count
}

/** Names of a reading and of the objects in it, as JSON.parse left them. */
export function membersOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const parts: unknown[] = Object.values(value)
  const isPlain = (part: unknown): part is object => typeof part === 'object' && part !== null && !Array.isArray(part)
  return parts.reduce<number>((sum, part) => sum + (isPlain(part) ? Object.keys(part).length : 0), parts.length)
}

/** The first name that an object of the text has twice; null when there is none. */
export function repeatedName(text: string): string | null {
  const open: (Set<string> | null)[] = []
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === OPEN_BRACE) open.push(new Set())
    else if (code === OPEN_BRACKET) open.push(null)
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) open.pop()
    else if (code === QUOTE) {
      const end = stringEnd(text, at)
      const names = open.at(-1)
      if (names != null && text.charCodeAt(skipSpace(text, end)) === COLON) {
        const name = JSON.parse(text.slice(at, end)) as string
        if (names.has(name)) return name
        names.add(name)
      }
      at = end - 1
    }
  }
  return null
}

/** Where the values of a text begin and end, in turn: those of its outermost array, or the one that it is. */
export interface Elements {
  readonly isArray: boolean
  readonly count: number
  /** Begin and end of each; of an array beyond the limit only of the first ones. */
  readonly places: readonly number[]
  /** Where the text continues after its value; null where it ends. */
  readonly restAt: number | null
}

/**
 * @param limit the places of more elements than this are not kept
 * @returns null when brackets or strings are not closed, or the array has no valid frame
 */
export function elementsOf(text: string, limit: number): Elements | null {
  const start = skipSpace(text, 0)
  const isArray = text.charCodeAt(start) === OPEN_BRACKET
  if (!isArray) {
    const end = valueEnd(text, start)
    return end === null || end === start ? null : withRest(text, end, false, [start, end], 1)
  }
  const places: number[] = []
  let at = skipSpace(text, start + 1)
  if (text.charCodeAt(at) === CLOSE_BRACKET) return withRest(text, at + 1, true, places, 0)
  for (let count = 1; ; count += 1) {
    const end = valueEnd(text, at)
    if (end === null || end === at) return null
    if (count <= limit) places.push(at, end)
    const next = skipSpace(text, end)
    if (text.charCodeAt(next) === CLOSE_BRACKET) return withRest(text, next + 1, true, places, count)
    if (text.charCodeAt(next) !== COMMA) return null
    at = skipSpace(text, next + 1)
  }
}

function withRest(text: string, end: number, isArray: boolean, places: readonly number[], count: number): Elements {
  const restAt = skipSpace(text, end)
  return { isArray, count, places, restAt: restAt === text.length ? null : restAt }
}

/** Index after the value at `at`: its closing bracket or quote, or the last character of a number or word. */
function valueEnd(text: string, from: number): number | null {
  let depth = 0
  for (let at = from; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = stringEnd(text, at) - 1
      if (at >= text.length - 1 && depth > 0) return null
      if (depth === 0) return at + 1
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) depth += 1
    else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) return at
      depth -= 1
      if (depth === 0) return at + 1
    } else if (depth === 0 && (code === COMMA || isSpace(code))) return at
  }
  return depth === 0 ? text.length : null
}
