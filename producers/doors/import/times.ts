// Event times as files write them: ISO 8601, numbers since 1970 in a unit, or a pattern such as `dd/mm/yyyy HH:MM:SS`. A
// time without a zone is UTC. What is not a real time of the calendar is refused.
import { InputError } from '../../../platform/errors.ts'
import { isDate, parseEpoch, parseIso, type Unit } from '../event-time.ts'

/** Text to ms since 1970. @throws InputError */
export type ParseTime = (text: string) => number

/** Lower case for dates, upper case for times of day: `mm` is the month, `MM` the minute. */
const TOKENS = {
  yyyy: '(\\d{4})',
  dd: '(\\d{1,2})',
  mm: '(\\d{1,2})',
  HH: '(\\d{1,2})',
  MM: '(\\d{2})',
  SS: '(\\d{2})',
} as const
type Token = keyof typeof TOKENS
const TOKEN_PATTERN = /yyyy|dd|mm|HH|MM|SS/g
const EPOCH_NAMES: Readonly<Record<Unit, string>> = {
  s: 'seconds since 1970',
  ms: 'milliseconds since 1970',
  us: 'microseconds since 1970',
  ns: 'nanoseconds since 1970',
}
const isUnit = (format: string): format is Unit => Object.hasOwn(EPOCH_NAMES, format)

/**
 * @param format `iso`, `s`, `ms`, `us`, `ns` or a pattern
 * @throws InputError when the pattern has no full date
 */
export function timeParser(format: string): ParseTime {
  if (format === 'iso') return isoTime
  return isUnit(format) ? (text) => epochTime(text, format) : patternParser(format)
}

function isoTime(text: string): number {
  const parsed = parseIso(text.trim())
  if (parsed === null) throw refused(text, 'ISO 8601, for example 2026-01-31T12:00:00Z')
  if (parsed === 'not a date') throw refused(text, 'a time of the calendar')
  return parsed.ms
}

function epochTime(text: string, unit: Unit): number {
  const ms = text.startsWith('-') ? null : parseEpoch(text, unit)
  if (ms === null) throw refused(text, EPOCH_NAMES[unit])
  return ms
}

function patternParser(format: string): ParseTime {
  const tokens: Token[] = []
  const literal = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  let source = ''
  let after = 0
  for (const match of format.matchAll(TOKEN_PATTERN)) {
    source += literal(format.slice(after, match.index)) + TOKENS[match[0] as Token]
    tokens.push(match[0] as Token)
    after = match.index + match[0].length
  }
  const isWhole = (['yyyy', 'mm', 'dd'] as const).every((token) => tokens.includes(token))
  if (!isWhole || new Set(tokens).size < tokens.length)
    throw new InputError(
      'TS_FORMAT',
      'ts-format',
      `${format} is not iso, s, ms, us, ns or a pattern with yyyy, mm and dd (and HH, MM, SS), each once`,
    )
  const pattern = new RegExp(`^${source}${literal(format.slice(after))}$`)
  return (text) => {
    const match = pattern.exec(text)
    if (match === null) throw refused(text, format)
    const part = (token: Token): number => (tokens.includes(token) ? Number(match[tokens.indexOf(token) + 1]) : 0)
    const [year, month, day] = [part('yyyy'), part('mm'), part('dd')]
    const [hour, minute, second] = [part('HH'), part('MM'), part('SS')]
    if (!isDate(year, month, day) || hour > 23 || minute > 59 || second > 59)
      throw refused(text, 'a time of the calendar')
    return Date.UTC(year, month - 1, day, hour, minute, second)
  }
}

const refused = (text: string, expected: string): InputError =>
  new InputError('TIME', 'ts', `${JSON.stringify(text.slice(0, 40))} is not ${expected}`)
