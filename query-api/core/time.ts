// Times and durations as a URL has them. A time that is not one is refused with what to write instead: nothing is
// guessed, and no 30 February becomes the 2nd of March.
import { durationMs } from '../../platform/duration.ts'

/** 9999-12-31: later instants are surely a mistake of unit. */
export const TIME_MS_MAX = 253_402_300_799_999

/** ms of "500ms", "1s", "5m", "2h", "1d", or of a number alone; NaN of anything else. */
export const durationOf = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : durationMs(text))

const ISO = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::(\d\d)(?:\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/
const EXPECTED = 'expected ms since 1970 or ISO 8601 with a zone, such as 2026-01-31T12:00:00Z'

/** ms since 1970 UTC, or the reason why the text is no time. */
export function timeOf(text: string): number | string {
  if (/^-?\d{1,15}$/.test(text)) return Number(text)
  // In a query "+" stands for a space: a zone such as +02:00 must be written as %2B02:00.
  if (/^\S+ \d\d:?\d\d$/.test(text)) return 'a "+" in a URL stands for a space: write the zone as %2B02:00'
  const match = ISO.exec(text)
  if (match === null) return EXPECTED
  const [year, month, day] = match.slice(1, 4).map(Number)
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return `there is no day ${text.slice(0, 10)}`
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? EXPECTED : ms
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}
