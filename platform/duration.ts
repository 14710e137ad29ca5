// Durations as people write them on a command line, and as the panel shows them.
import { InputError } from './errors.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const MAX_MS = 7 * UNITS_MS.d

/** ms of a number and ms, s, m, h or d, such as 500ms, 60s, 1.5h; NaN of anything else. */
export function durationMs(text: string): number {
  const match = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h|d)$/.exec(text)
  return match === null ? NaN : Number(match[1]) * UNITS_MS[match[2]]
}

/**
 * @param text see `durationMs`
 * @returns ms, more than 0 and at most `maxMs`
 * @throws InputError
 */
export function parseDuration(text: string, field: string, maxMs = MAX_MS): number {
  const ms = durationMs(text)
  if (ms > 0 && ms <= maxMs) return ms
  throw new InputError(
    'DURATION',
    field,
    `${field} is "${text}": expected a number and ms, s, m, h or d (500ms, 60s, 1.5h), at most ${showDuration(maxMs)}`,
  )
}

/** 8 s, 1 min 12 s, 2 h 5 min, 3 d 4 h. */
export function showDuration(ms: number): string {
  const seconds = Math.floor(ms / 1_000)
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`
  const hours = Math.floor(minutes / 60)
  return hours < 24 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} d ${hours % 24} h`
}
