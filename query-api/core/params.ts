// What a request may ask for: every parameter has a check, a bound and a description, from which the home page is made;
// an unknown one is refused, and the error names the parameter and its limit. Pure: the time that defaults are counted
// from is an argument.
import { z } from 'zod'
import { askedIdProblem } from '../../platform/codec/identity.ts'
import { InputError } from '../../platform/errors.ts'
import { METRIC_NAMES } from '../../platform/codec/reading.ts'
import { CURSOR_CHARS_MAX, sensorOfCursor } from './cursor.ts'
import { durationOf, timeOf, TIME_MS_MAX } from './time.ts'

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
/** Questions without a range that come within one second mean the same, so that one look-up answers all of them. */
const NOW_STEP_MS = 1_000

const identifier = z.string().superRefine((text, context) => {
  const problem = askedIdProblem('it', text)
  if (problem !== null) context.addIssue(problem)
})
const count = (fallback: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,9}$/, `expected a whole number from 1 to ${max}`)
    .default(String(fallback))
    .transform(Number)
    .pipe(z.number().min(1, `expected at least 1`).max(max, `expected at most ${max}`))
    .describe(`at most so many, from 1 to ${max}; ${fallback} if not given`)

/** "500ms", "1s", "5m", "2h", "1d"; a number alone is ms. */
const duration = (minMs: number, maxMs: number) =>
  z
    .string()
    .transform(durationOf)
    .pipe(
      z
        .number('expected a duration such as 500ms, 1s, 5m, 2h or 1d')
        .min(minMs, `expected at least ${minMs} ms`)
        .max(maxMs, `expected at most ${maxMs} ms`),
    )

const time = z.string().transform((text, context) => {
  const ms = timeOf(text)
  if (typeof ms === 'number' && Math.abs(ms) <= TIME_MS_MAX) return ms
  context.addIssue(typeof ms === 'number' ? 'expected a time before the year 10000, in ms' : ms)
  return z.NEVER
})
const from = time.optional().describe('first event time, inclusive: ms since 1970 UTC or ISO 8601 with a zone')
const to = time.optional().describe('last event time, exclusive')

const metrics = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => [...new Set((Array.isArray(given) ? given : [given]).flatMap((part) => part.split(',')))])
  .pipe(
    z.array(z.enum(METRIC_NAMES as [string, ...string[]], `expected metrics out of ${METRIC_NAMES.join(', ')}`)).min(1),
  )

const cursor = z.string().transform((text, context) => {
  const at = sensorOfCursor(text)
  if (at !== null) return at
  const limit = text.length > CURSOR_CHARS_MAX ? `, at most ${CURSOR_CHARS_MAX} characters` : ''
  context.addIssue(`expected the \`next\` of the page before${limit}`)
  return z.NEVER
})

const common = {
  max_staleness: duration(0, LIMITS.maxStalenessMs)
    .optional()
    .describe('the staleness that you accept, such as 30s, instead of the bound of the service'),
}
const tenant = identifier.optional().describe('only of this tenant')
const site = identifier.optional().describe('only of this site')

const recent = {
  tenant: identifier.optional().describe('its tenant, needed where several have a sensor of this id'),
  limit: count(100, LIMITS.recentRows),
  ...common,
}
const aggregate = {
  tenant: identifier.optional().describe('its tenant, needed where several have a site of this name'),
  window: duration(LIMITS.windowMsMin, LIMITS.windowMsMax)
    .default(60_000)
    .describe(`length of the windows, from 1s to 1d, 1m if not given; at most ${LIMITS.windows} of them`),
  from,
  to: to.describe('last event time, exclusive; without both, the last hour'),
  metric: metrics.optional().describe('one or several, separated by commas'),
  ...common,
}

const SCHEMAS = {
  none: z.strictObject({}),
  sensors: z.strictObject({
    id: identifier.optional().describe('only sensors of exactly this id'),
    site,
    tenant,
    limit: count(100, LIMITS.pageRows),
    after: cursor.optional().describe('the `next` of the page before'),
    ...common,
  }),
  recent: z.strictObject(recent),
  recentById: z.strictObject({ id: identifier.describe('the sensor'), ...recent }),
  aggregate: z.strictObject(aggregate),
  aggregateBySite: z.strictObject({ site: identifier.describe('the site'), ...aggregate }),
  anomalies: z.strictObject({
    tenant,
    sensor: identifier.optional().describe('only of this sensor'),
    site,
    from,
    to,
    limit: count(100, LIMITS.anomalyRows),
    ...common,
  }),
  status: z.strictObject({ ...common }),
  cluster: z.strictObject({ ...common }),
  views: z.strictObject({ limit: count(10, LIMITS.views), ...common }),
  wait: z.strictObject({
    wait: duration(0, 60_000)
      .optional()
      .describe('how long to wait until all members have applied it, such as 30s, at most 1m'),
  }),
} as const

export type ParamsKind = keyof typeof SCHEMAS
export type Params<K extends ParamsKind> = z.output<(typeof SCHEMAS)[K]>

/** A parameter as a page or a description of the API lists it. */
export interface ParamDescription {
  readonly name: string
  readonly description: string
  readonly required: boolean
}

export function describeParams(kind: ParamsKind): ParamDescription[] {
  return Object.entries(SCHEMAS[kind].shape as Readonly<Record<string, z.ZodType>>).map(([name, schema]) => ({
    name,
    description: schema.description ?? '',
    required: !schema.safeParse(undefined).success,
  }))
}

/** @throws InputError PARAMETER naming the parameter and what is expected of it */
export function parseParams<K extends ParamsKind>(kind: K, given: Readonly<Record<string, unknown>>): Params<K> {
  const parsed = SCHEMAS[kind].safeParse(given)
  if (parsed.success) return parsed.data as Params<K>
  const [issue] = parsed.error.issues
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(SCHEMAS[kind].shape).join(', ')
    const there = known === '' ? 'there are none' : `there are ${known}`
    const shown = issue.keys[0].slice(0, 80)
    throw new InputError('PARAMETER', shown, `${shown} is not a parameter here; ${there}`)
  }
  const field = String(issue.path[0])
  if (given[field] === undefined) throw new InputError('PARAMETER', field, `${field} is missing`)
  const problem = Array.isArray(given[field]) && field !== 'metric' ? 'it is given more than once' : issue.message
  throw refusal(field, problem)
}

/** An identifier that is part of the path. */
export function identifierOf(name: string, given: unknown): string {
  const parsed = identifier.safeParse(given)
  if (parsed.success) return parsed.data
  throw refusal(name, parsed.error.issues[0].message)
}

/** @param problem what is expected, or a sentence about the parameter that begins with "it" */
function refusal(field: string, problem: string): InputError {
  const message = problem.startsWith('it ') ? `${field}${problem.slice(2)}` : `${field}: ${problem}`
  return new InputError('PARAMETER', field, message)
}

/** @throws InputError where the range ends before it begins */
export function checkRange({ from, to }: { readonly from?: number; readonly to?: number }): void {
  if (from !== undefined && to !== undefined && from >= to)
    throw new InputError('PARAMETER', 'from', `from: expected a time before \`to\`; from is ${from}, to is ${to}`)
}

/** The range of an aggregate: by default the hour up to the second that is running, or up to `to`, or from `from`. */
export function aggregateRange(
  { from, to, window }: Pick<Params<'aggregate'>, 'from' | 'to' | 'window'>,
  nowMs: number,
): { from: number; to: number } {
  const now = Math.ceil(nowMs / NOW_STEP_MS) * NOW_STEP_MS
  const end = to ?? (from === undefined ? now : Math.max(now, from + 1))
  const start = from ?? end - HOUR_MS
  checkRange({ from: start, to: end })
  const windows = Math.ceil(end / window) - Math.floor(start / window)
  if (windows > LIMITS.windows)
    throw new InputError(
      'PARAMETER',
      'window',
      `window: ${windows} windows between from and to; the limit is ${LIMITS.windows}: ask for longer windows or a shorter range`,
    )
  return { from: start, to: end }
}
