// Event times from outside: ISO 8601 in its extended and basic form, numbers since 1970 in a unit, and the bounds within
// which a time is believed. A time outside of them is nearly always in another unit, and the refusal names the one
// that would fit.
import { parseDecimal } from '../../platform/decimal.ts'
import { InputError } from '../../platform/errors.ts'

/** Between these a time is accepted, ms since 1970. */
export interface TimeBounds {
  readonly earliestMs: number
  /** Beyond `now` by this much, ms. */
  readonly futureMs: number
}

/** Digits of a value in each unit make so many milliseconds. */
export const UNITS = { s: 1_000, ms: 1, us: 1 / 1_000, ns: 1 / 1_000_000 } as const
export type Unit = keyof typeof UNITS
const UNIT_NAMES: Readonly<Record<Unit, string>> = {
  s: 'seconds',
  ms: 'milliseconds',
  us: 'microseconds',
  ns: 'nanoseconds',
}

const ISO =
  /^(\d{4})(-?)(\d{2})\2(\d{2})(?:[Tt ](\d{2})(:?)(\d{2})(?:\6(\d{2})(?:[.,](\d{1,9}))?)?(?: ?([Zz]|UTC|utc|GMT|[+-]\d{2}(?::?\d{2})?))?)?$/

export type ParsedTime = { readonly ms: number; readonly hasZone: boolean }

/** null when the text is not ISO 8601; `not a date` when it is no time of the calendar. Without a zone it is UTC. */
export function parseIso(text: string): ParsedTime | 'not a date' | null {
  const match = ISO.exec(text)
  if (match === null) return null
  const [, year, , month, day, hour = '0', , minute = '0', second = '0', fraction = '', zone] = match
  const offset = zone === undefined ? 0 : offsetMs(zone)
  if (!isDate(Number(year), Number(month), Number(day)) || offset === null) return 'not a date'
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return 'not a date'
  const date = new Date(0)
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day))
  date.setUTCHours(Number(hour), Number(minute), Number(second), Number(fraction.padEnd(3, '0').slice(0, 3)))
  return { ms: date.getTime() - offset, hasZone: zone !== undefined }
}

function offsetMs(zone: string): number | null {
  if (!/^[+-]/.test(zone)) return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || '0')
  if (hours > 23 || minutes > 59) return null
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

export function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(0)
  date.setUTCFullYear(year, month - 1, day)
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day
}

/** Text to ms; null when it is not a number. Whole digits keep all of their precision. */
export function parseEpoch(text: string, unit: Unit): number | null {
  const trimmed = text.trim()
  if (unit === 'ns' && /^\d{1,30}$/.test(trimmed)) return Number(BigInt(trimmed) / 1_000_000n)
  const value = parseDecimal(trimmed)
  return value === null ? null : Math.round(value * UNITS[unit])
}

/** The time of a reading as JSON has it: a number of ms, or ISO 8601 with its zone. @throws InputError */
export function eventTime(given: unknown): number {
  if (typeof given === 'number') return given
  if (given === undefined) throw new InputError('WRONG_TYPE', 'ts', 'ts is missing')
  if (typeof given !== 'string')
    throw new InputError('WRONG_TYPE', 'ts', 'ts is neither a number of milliseconds since 1970 nor ISO 8601 text')
  const parsed = parseIso(given)
  const shown = JSON.stringify(given.slice(0, 40))
  if (parsed === null)
    throw new InputError('INVALID', 'ts', `ts is ${shown}, which is not ISO 8601, for example 2026-01-31T12:00:00Z`)
  if (parsed === 'not a date')
    throw new InputError('INVALID', 'ts', `ts is ${shown}, which is not a time of the calendar`)
  if (!parsed.hasZone)
    throw new InputError('INVALID', 'ts', `ts is ${shown}, which has no time zone: add Z or an offset such as +01:00`)
  return parsed.ms
}

/**
 * Refuses a time outside of the bounds, with the unit that would fit.
 * @throws InputError
 */
export function checkTime(ts: number, nowMs: number, { earliestMs, futureMs }: TimeBounds): void {
  const latestMs = nowMs + futureMs
  if (ts >= earliestMs && ts <= latestMs) {
    if (Number.isInteger(ts)) return
    throw new InputError('INVALID', 'ts', `ts is ${ts}; it must be a whole number of milliseconds`)
  }
  const fits = (Object.keys(UNITS) as Unit[]).find((unit) => {
    const ms = ts * UNITS[unit]
    return unit !== 'ms' && ms >= earliestMs && ms <= latestMs
  })
  const hint = fits === undefined ? '' : `; it fits as ${UNIT_NAMES[fits]}, and ts is in milliseconds`
  if (ts < earliestMs)
    throw new InputError(
      'TOO_EARLY',
      'ts',
      `ts is ${ts} (${nameOf(ts)}), before the earliest time accepted, ${nameOf(earliestMs)}${hint}`,
    )
  throw new InputError(
    'FUTURE_TIME',
    'ts',
    `ts is ${ts}, ${ts - nowMs} ms ahead of the clock here; the limit is ${futureMs} ms${hint}`,
  )
}

function nameOf(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? 'no date' : date.toISOString()
}
