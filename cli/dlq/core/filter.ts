// Selects dead letters. All given conditions must hold; none given selects all of them.
import { InputError } from '../../../platform/errors.ts'
import type { OffsetRange } from '../../../platform/kafka/port.ts'
import { type DeadLetter, parsePlace, placeText } from '../../../platform/dead-letters/letter.ts'
import { parseDuration } from '../../../platform/duration.ts'
import type { LetterState } from '../../../platform/dead-letters/marks.ts'

export interface LetterFilter {
  readonly reason?: string
  readonly topic?: string
  readonly partition?: number
  /** The record's key, or what follows its first slash. */
  readonly sensor?: string
  readonly stage?: string
  readonly sinceMs?: number
  readonly untilMs?: number
  readonly state?: LetterState
  /** Places as text; empty: all. */
  readonly places: ReadonlySet<string>
}

/** True if nothing narrows the selection. */
export const meansAll = ({ places, ...rest }: LetterFilter): boolean =>
  places.size === 0 && Object.values(rest).every((value) => value === undefined)

export function matches(letter: DeadLetter, state: LetterState, filter: LetterFilter): boolean {
  const { reason, topic, partition, sensor, stage, sinceMs, untilMs, places } = filter
  return (
    (reason === undefined || letter.reason === reason) &&
    (topic === undefined || letter.from.topic === topic) &&
    (partition === undefined || letter.partition === partition) &&
    (sensor === undefined || isSensor(letter.key, sensor)) &&
    (stage === undefined || letter.stage === stage) &&
    (sinceMs === undefined || letter.timeMs >= sinceMs) &&
    (untilMs === undefined || letter.timeMs < untilMs) &&
    (filter.state === undefined || state === filter.state) &&
    (places.size === 0 || places.has(placeText(letter)))
  )
}

/** The part of a partition that can contain selected letters. */
export function narrow(range: OffsetRange, partition: number, filter: LetterFilter): OffsetRange {
  const none = { start: range.end, end: range.end }
  if (filter.partition !== undefined && filter.partition !== partition) return none
  if (filter.places.size === 0) return range
  const offsets = [...filter.places]
    .map(parsePlace)
    .flatMap((place) => (place.partition === partition ? [place.offset] : []))
  if (offsets.length === 0) return none
  return { start: Math.max(range.start, Math.min(...offsets)), end: Math.min(range.end, Math.max(...offsets) + 1) }
}

function isSensor(key: Buffer | null, sensor: string): boolean {
  if (key === null) return false
  const text = key.toString()
  return text === sensor || text.slice(text.indexOf('/') + 1) === sensor
}

/**
 * A point in time: ISO 8601, ms since 1970, or a duration before now (2h).
 * @throws InputError
 */
export function parseWhen(text: string, field: string, nowMs: number): number {
  if (/^\d+(\.\d+)?(ms|s|m|h)$/.test(text)) return nowMs - parseDuration(text, field)
  const ms = /^\d+$/.test(text) ? Number(text) : Date.parse(text)
  if (Number.isSafeInteger(ms)) return ms
  throw new InputError(
    'TIME',
    field,
    `--${field} is "${text}": expected ISO 8601, ms since 1970, or a duration before now (30m, 2h)`,
  )
}
