// Event times as files write them: ISO 8601, numbers since 1970 in a unit, or a pattern such as `dd/mm/yyyy HH:MM:SS`. A
// time without a zone is local time of the zone that was given, or else UTC. What is not a real time of the calendar is
// refused.
import { InputError } from '../../../../platform/errors.ts'
import { isDate, parseEpoch, parseIso, type ParsedTime, type Unit } from '../../event-time.ts'
import type { Zone } from './zone.ts'

/** Text to ms since 1970; the sensor decides about local times that occur twice. @throws InputError */
export type ParseTime = (text: string, sensor?: string) => number

/** Lower case for dates and for the hour of a half day, upper case for times of day: `mm` is the month, `MM` the minute. */
const TOKENS = {
  yyyy: '(\\d{4})',
  yy: '(\\d{2})',
  mon: '([A-Za-z]{3,9})\\.?',
  dd: '(\\d{1,2})',
  mm: '(\\d{1,2})',
  hh: '(\\d{1,2})',
  ap: '([AaPp])\\.?[Mm]\\.?',
  HH: '(\\d{1,2})',
  MM: '(\\d{2})',
  SS: '(\\d{2})',
  fff: '(\\d{1,9})',
} as const
type Token = keyof typeof TOKENS
const TOKEN_PATTERN = /yyyy|yy|mon|dd|mm|hh|ap|HH|MM|SS|fff/g
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']
/** Two digits from here on are of the last century, as POSIX has it. */
const CENTURY_PIVOT = 69
const EPOCH_NAMES: Readonly<Record<Unit, string>> = {
  s: 'seconds since 1970',
  ms: 'milliseconds since 1970',
  us: 'microseconds since 1970',
  ns: 'nanoseconds since 1970',
}
const isUnit = (format: string): format is Unit => Object.hasOwn(EPOCH_NAMES, format)
/** Whether texts in this format leave their zone open. */
export const isLocalFormat = (format: string): boolean => !isUnit(format)

/**
 * @param format `iso`, `s`, `ms`, `us`, `ns` or a pattern
 * @param zone of local times; UTC if not given
 * @throws InputError when the pattern has no full date, or a zone is given for numbers since 1970
 */
export function timeParser(format: string, zone?: Zone): ParseTime {
  if (isUnit(format)) {
    if (zone !== undefined)
      throw new InputError('TZ', 'tz', `--tz says nothing of ${EPOCH_NAMES[format]}, which have no zone`)
    return (text) => epochTime(text, format)
  }
  const parse = format === 'iso' ? isoTime : patternParser(format)
  if (zone === undefined) return (text) => parse(text).ms
  return (text, sensor = '') => {
    const { ms, hasZone } = parse(text)
    return hasZone ? ms : zone.toUtc(ms, sensor)
  }
}

function isoTime(text: string): ParsedTime {
  const parsed = parseIso(text.trim())
  if (parsed === null) throw refused(text, 'ISO 8601, for example 2026-01-31T12:00:00Z')
  if (parsed === 'not a date') throw refused(text, 'a time of the calendar')
  return parsed
}

function epochTime(text: string, unit: Unit): number {
  const ms = text.startsWith('-') ? null : parseEpoch(text, unit)
  if (ms === null) throw refused(text, EPOCH_NAMES[unit])
  return ms
}

interface Pattern {
  readonly regex: RegExp
  readonly tokens: readonly Token[]
}

function patternParser(format: string): (text: string) => ParsedTime {
  const { regex, tokens } = compile(format)
  const places = new Map(tokens.map((token, i) => [token, i + 1]))
  return (text) => {
    const match = regex.exec(text.trim())
    if (match === null) throw refused(text, format)
    const part = (token: Token): string | undefined => match[places.get(token) ?? -1]
    const ms = msOf(part)
    if (ms === null) throw refused(text, 'a time of the calendar')
    return { ms, hasZone: false }
  }
}

function compile(format: string): Pattern {
  const tokens: Token[] = []
  const literal = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&').replace(/ +/g, ' +')
  let source = ''
  let after = 0
  for (const match of format.matchAll(TOKEN_PATTERN)) {
    source += literal(format.slice(after, match.index)) + TOKENS[match[0] as Token]
    tokens.push(match[0] as Token)
    after = match.index + match[0].length
  }
  const count = (...names: Token[]): number => names.filter((name) => tokens.includes(name)).length
  const isWhole = count('yyyy', 'yy') === 1 && count('mm', 'mon') === 1 && count('dd') === 1
  const isClock = count('HH', 'hh') <= 1 && count('hh') === count('ap')
  if (!isWhole || !isClock || new Set(tokens).size < tokens.length)
    throw new InputError(
      'TS_FORMAT',
      'ts-format',
      `${format} is not iso, s, ms, us, ns or a pattern with yyyy (or yy), mm (or mon, for Jan) and dd, and HH (or hh with ap, for AM and PM), MM, SS and fff, each once`,
    )
  return { tokens, regex: new RegExp(`^${source}${literal(format.slice(after))}$`) }
}

/** As if it were UTC; null when it is no time of the calendar. */
function msOf(part: (token: Token) => string | undefined): number | null {
  const year = part('yyyy') === undefined ? fullYear(Number(part('yy'))) : Number(part('yyyy'))
  const name = part('mon')?.slice(0, 3).toLowerCase()
  const month = name === undefined ? Number(part('mm')) : MONTHS.indexOf(name) + 1
  const day = Number(part('dd'))
  const hour = part('hh') === undefined ? Number(part('HH') ?? 0) : hourOf(Number(part('hh')), part('ap')!)
  const [minute, second] = [Number(part('MM') ?? 0), Number(part('SS') ?? 0)]
  const fraction = Number((part('fff') ?? '').padEnd(3, '0').slice(0, 3))
  if (month < 1 || month > 12 || !isDate(year, month, day)) return null
  // 24:00:00 is the end of a day in ISO 8601 and in loggers.
  const isEnd = hour === 24 && minute === 0 && second === 0 && fraction === 0
  if ((hour > 23 && !isEnd) || hour < 0 || minute > 59 || second > 59) return null
  return Date.UTC(year, month - 1, day, hour, minute, second, fraction)
}

const fullYear = (digits: number): number => digits + (digits < CENTURY_PIVOT ? 2_000 : 1_900)

/** -1 where there is no such hour. */
function hourOf(hour: number, half: string): number {
  if (hour < 1 || hour > 12) return -1
  return (hour % 12) + (half.toLowerCase() === 'p' ? 12 : 0)
}

const refused = (text: string, expected: string): InputError =>
  new InputError('TIME', 'ts', `${JSON.stringify(text.slice(0, 40))} is not ${expected}`)
