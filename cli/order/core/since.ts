// "Since when": a time or how long ago.
import { InputError } from '../../../platform/errors.ts'
import { parseDuration } from '../../../platform/duration.ts'

/**
 * @param text 90s, 2h (ago), or ISO 8601
 * @returns ms since 1970
 * @throws InputError
 */
export function parseSince(text: string, nowMs: number): number {
  if (/^\d+(\.\d+)?(ms|s|m|h)$/.test(text)) return nowMs - parseDuration(text, '--since')
  const ms = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : NaN
  if (Number.isFinite(ms)) return ms
  throw new InputError(
    'SINCE',
    '--since',
    `--since is "${text}": expected how long ago (90s, 2h; at most a week) or ISO 8601 (2026-01-31T12:00:00Z)`,
  )
}
