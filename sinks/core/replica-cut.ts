// Where a row file must be truncated so that it ends with the last complete row below a place. Rows start with their
// place, in ascending order, one per line, so it is enough to read from the end what was not yet durable.
const NEWLINE = 0x0a
const COMMA = 0x2c
const ZERO = 0x30
/** Of the greatest safe integer. */
const DIGITS_MAX = 16
const WINDOW_BYTES = 65_536

/** Bytes [from, to) of the file. */
export type ReadBytes = (from: number, to: number) => Uint8Array

/**
 * @param size of the file, bytes
 * @param limit the first place that must not remain
 * @returns bytes to keep; 0 where no row is below the limit, header or not
 */
export function keptLength(size: number, read: ReadBytes, limit: number): number {
  let windowFrom = size
  let window: Uint8Array = new Uint8Array(0)
  const byteAt = (at: number): number => {
    if (at < windowFrom || at >= windowFrom + window.length) {
      windowFrom = Math.max(0, at + 1 - WINDOW_BYTES)
      window = read(windowFrom, at + 1)
    }
    return window[at - windowFrom]
  }
  /** The position after the last line break before `to`. */
  const lineStart = (to: number): number => {
    let at = to
    while (at > 0 && byteAt(at - 1) !== NEWLINE) at -= 1
    return at
  }
  let end = lineStart(size) // a line without a line break is torn
  while (end > 0) {
    const start = lineStart(end - 1)
    const place = placeAt(start, end, byteAt)
    if (place !== null && place < limit) return end
    end = start
  }
  return 0
}

/** The number before the line's first comma; null if there is none. */
function placeAt(start: number, end: number, byteAt: (at: number) => number): number | null {
  let place = 0
  for (let at = start; at < end && at - start <= DIGITS_MAX; at += 1) {
    const byte = byteAt(at)
    if (byte === COMMA && at > start) return place
    if (byte < ZERO || byte > ZERO + 9) return null
    place = place * 10 + byte - ZERO
  }
  return null
}

/** The place at the start of a row given as text; NaN if it is not a row. */
export const placeOf = (line: string): number => (/^\d{1,16},/.test(line) ? Number.parseInt(line, 10) : NaN)
