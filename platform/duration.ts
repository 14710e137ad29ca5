// Durations as people write them on a command line, and as the panel shows them.
import { InputError } from './errors.ts'

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }
const MAX_MS = 24 * 7 * 3_600_000

/**
 * @param text a number and ms, s, m or h: 500ms, 60s, 1.5h; at most a week
 * @returns ms
 * @throws InputError
 */
export function parseDuration(text: string, field: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text)
  const ms = match === null ? NaN : Number(match[1]) * UNITS_MS[match[2]]
  if (ms > 0 && ms <= MAX_MS) return ms
  throw new InputError(
    'DURATION',
    field,
    `${field} is "${text}": expected a number and ms, s, m or h (60s, 1.5h), at most a week`,
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
