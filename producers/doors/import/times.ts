// Event times as files write them: ISO 8601, milliseconds or seconds since 1970, or a pattern such as
// `dd/mm/yyyy HH:MM:SS`. A time without a zone is UTC. What is not a real time of the calendar is refused.
import { InputError } from '../../../platform/errors.ts'

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
const ISO = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const ZONED = /(Z|[+-]\d{2}:?\d{2})$/

/**
 * @param format `iso`, `ms`, `s` or a pattern
 * @throws InputError when the pattern has no full date
 */
export function timeParser(format: string): ParseTime {
  switch (format) {
    case 'iso':
      return parseIso
    case 'ms':
      return (text) => parseEpoch(text, 1)
    case 's':
      return (text) => parseEpoch(text, 1000)
    default:
      return patternParser(format)
  }
}

function parseIso(text: string): number {
  if (!ISO.test(text)) throw refused(text, 'ISO 8601, for example 2026-01-31T12:00:00Z')
  const clock = text.length > 10
  const ms = Date.parse(clock && !ZONED.test(text.slice(10)) ? `${text.replace(' ', 'T')}Z` : text.replace(' ', 'T'))
  const [year, month, day] = text.slice(0, 10).split('-').map(Number)
  if (Number.isNaN(ms) || !isDate(year, month, day)) throw refused(text, 'a time of the calendar')
  return ms
}

function parseEpoch(text: string, factor: number): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw refused(text, factor === 1 ? 'milliseconds since 1970' : 'seconds since 1970')
  return Math.round(Number(text) * factor)
}

function patternParser(format: string): ParseTime {
  const tokens: Token[] = []
  const literal = (part: string): string => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  let source = ''
  let behind = 0
  for (const match of format.matchAll(TOKEN_PATTERN)) {
    source += literal(format.slice(behind, match.index)) + TOKENS[match[0] as Token]
    tokens.push(match[0] as Token)
    behind = match.index + match[0].length
  }
  if (
    !tokens.includes('yyyy') ||
    !tokens.includes('mm') ||
    !tokens.includes('dd') ||
    new Set(tokens).size < tokens.length
  )
    throw new InputError(
      'TS_FORMAT',
      'ts-format',
      `${format} is not iso, ms, s or a pattern with yyyy, mm and dd (and HH, MM, SS), each once`,
    )
  const pattern = new RegExp(`^${source}${literal(format.slice(behind))}$`)
  return (text) => {
    const match = pattern.exec(text)
    if (match === null) throw refused(text, format)
    const part = (token: Token): number => (tokens.includes(token) ? Number(match[tokens.indexOf(token) + 1]) : 0)
    const [year, month, day, hour, minute, second] = [
      part('yyyy'),
      part('mm'),
      part('dd'),
      part('HH'),
      part('MM'),
      part('SS'),
    ]
    if (!isDate(year, month, day) || hour > 23 || minute > 59 || second > 59)
      throw refused(text, 'a time of the calendar')
    return Date.UTC(year, month - 1, day, hour, minute, second)
  }
}

function isDate(year: number, month: number, day: number): boolean {
  const date = new Date(Date.UTC(year, month - 1, day))
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day
}

const refused = (text: string, expected: string): InputError =>
  new InputError('TIME', 'ts', `${JSON.stringify(text.slice(0, 40))} is not ${expected}`)
