// What a request may ask for: every parameter has a check and a bound, an unknown one is refused, and the error names
// the parameter and its limit. Pure: the time that defaults are counted from is an argument.
import { z } from 'zod'
import { askedIdProblem, ID_BYTES_MAX } from '../../platform/codec/identity.ts'
import { InputError } from '../../platform/errors.ts'
import { METRIC_NAMES } from '../../platform/codec/reading.ts'

export const LIMITS = {
  pageRows: 1_000,
  recentRows: 10_000,
  anomalyRows: 10_000,
  /** Each names all members of its time. */
  views: 100,
  /** A day in windows of a minute, with room. */
  windows: 1_500,
  windowMsMin: 1_000,
  windowMsMax: 86_400_000,
  maxStalenessMs: 10 * 365 * 86_400_000,
} as const

const HOUR_MS = 3_600_000
/** 9999-12-31: later instants are surely a mistake of unit. */
const TIME_MS_MAX = 253_402_300_799_999
const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: HOUR_MS, d: 86_400_000 }

const identifier = z.string().superRefine((text, context) => {
  const problem = askedIdProblem('it', text)
  if (problem !== null) context.addIssue(problem)
})
const count = (fallback: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, 'expected a whole number')
    .default(String(fallback))
    .transform(Number)
    .pipe(z.number().min(1).max(max))

/** "500ms", "1s", "5m", "2h", "1d"; a number alone is ms. */
const duration = (minMs: number, maxMs: number) =>
  z
    .string()
    .regex(/^\d{1,15}(ms|s|m|h|d)?$/, 'expected a duration such as 500ms, 1s, 5m, 2h or 1d')
    .transform((text) => {
      const unit = text.replace(/^\d+/, '')
      return Number(text.slice(0, text.length - unit.length)) * UNITS_MS[unit === '' ? 'ms' : unit]
    })
    .pipe(z.number().min(minMs, `expected at least ${minMs} ms`).max(maxMs, `expected at most ${maxMs} ms`))

/** ms since 1970 UTC, or ISO 8601 with a zone. */
const time = z
  .string()
  .transform((text) => (/^-?\d{1,15}$/.test(text) ? Number(text) : parseIso(text)))
  .pipe(
    z
      .number('expected ms since 1970 or ISO 8601 with a zone, such as 2026-01-31T12:00:00Z')
      .min(-TIME_MS_MAX)
      .max(TIME_MS_MAX),
  )

function parseIso(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:\d\d)$/.test(text) ? Date.parse(text) : NaN
}

const metrics = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [...new Set((Array.isArray(given) ? given : [given]).flatMap((part) => part.split(',')))])
  .pipe(
    z.array(z.enum(METRIC_NAMES as [string, ...string[]], `expected metrics out of ${METRIC_NAMES.join(', ')}`)).min(1),
  )

const common = { max_staleness: duration(0, LIMITS.maxStalenessMs).optional() }

/** Two identifiers, and the bytes of each as %XX; those from before the rules may be three times as long. */
const CURSOR_CHARS_MAX = 2 * 3 * 3 * ID_BYTES_MAX + 1

/** Where a page of sensors ended: tenant and sensor, each encoded as in a URL. */
const cursor = z
  .string()
  .max(CURSOR_CHARS_MAX)
  .transform((text, context) => {
    const parts = text.split('/')
    try {
      if (parts.length === 2) return { tenant: decodeURIComponent(parts[0]), sensor: decodeURIComponent(parts[1]) }
    } catch {
      // Not an encoding: refused below like any other text.
    }
    context.addIssue('expected the `next` of the page before')
    return z.NEVER
  })

const SCHEMAS = {
  sensors: z.strictObject({
    ...common,
    site: identifier.optional(),
    tenant: identifier.optional(),
    limit: count(100, LIMITS.pageRows),
    after: cursor.optional(),
  }),
  recent: z.strictObject({
    ...common,
    id: identifier,
    tenant: identifier.optional(),
    limit: count(100, LIMITS.recentRows),
  }),
  aggregate: z.strictObject({
    ...common,
    site: identifier,
    tenant: identifier.optional(),
    window: duration(LIMITS.windowMsMin, LIMITS.windowMsMax).default(60_000),
    from: time.optional(),
    to: time.optional(),
    metric: metrics.optional(),
  }),
  anomalies: z.strictObject({
    ...common,
    tenant: identifier.optional(),
    sensor: identifier.optional(),
    site: identifier.optional(),
    from: time.optional(),
    to: time.optional(),
    limit: count(100, LIMITS.anomalyRows),
  }),
  status: z.strictObject({ ...common }),
  cluster: z.strictObject({ ...common }),
  views: z.strictObject({ ...common, limit: count(10, LIMITS.views) }),
} as const

export type Params<K extends keyof typeof SCHEMAS> = z.output<(typeof SCHEMAS)[K]>

/** @throws InputError PARAMETER naming the parameter and what is expected of it */
export function parseParams<K extends keyof typeof SCHEMAS>(
  kind: K,
  given: Readonly<Record<string, unknown>>,
): Params<K> {
  const parsed = SCHEMAS[kind].safeParse(given)
  if (parsed.success) return parsed.data as Params<K>
  const [issue] = parsed.error.issues
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(SCHEMAS[kind].shape).join(', ')
    throw new InputError('PARAMETER', issue.keys[0], `${issue.keys[0]} is not a parameter here; there are ${known}`)
  }
  const field = String(issue.path[0])
  const problem = Array.isArray(given[field]) && field !== 'metric' ? 'it is given more than once' : issue.message
  throw new InputError('PARAMETER', field, `${field}: ${problem}`)
}

/** The range of an aggregate: by default the hour up to now, or up to `to`, or from `from`. */
export function aggregateRange(
  { from, to, window }: Pick<Params<'aggregate'>, 'from' | 'to' | 'window'>,
  nowMs: number,
): { from: number; to: number } {
  const end = to ?? (from === undefined ? nowMs : Math.max(nowMs, from + 1))
  const start = from ?? end - HOUR_MS
  if (start >= end) throw new InputError('PARAMETER', 'from', 'from: expected a time before `to`')
  const windows = Math.ceil(end / window) - Math.floor(start / window)
  if (windows > LIMITS.windows)
    throw new InputError(
      'PARAMETER',
      'window',
      `window: ${windows} windows between from and to, the limit is ${LIMITS.windows}: ask for longer windows or a shorter range`,
    )
  return { from: start, to: end }
}

/** The cursor behind a sensor, for `after`. */
export const cursorOf = ({ tenant, sensor }: { tenant: string; sensor: string }): string =>
  `${encodeURIComponent(tenant)}/${encodeURIComponent(sensor)}`
