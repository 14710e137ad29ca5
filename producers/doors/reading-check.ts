// Readings from outside, checked: zod schemas derived from the metrics' declaration, so a new metric is accepted and
// bounded without a line here. Every refusal names the field and the limit; one reading gets one refusal, the first.
import { z } from 'zod'
import { type IdField, idProblem, numberProblem, tagCountProblem, tagProblem } from '../../platform/codec/identity.ts'
import { METRIC_NAMES, type Reading } from '../../platform/codec/reading.ts'
import { InputError } from '../../platform/errors.ts'
import { checkTime, eventTime, type TimeBounds } from './event-time.ts'
import { METRICS } from '../../schemas/metrics.ts'

/** A text by the rule of platform/codec/identity.ts for this field. */
const id = (field: IdField) => z.string().superRefine((text, context) => refuse(context, idProblem(field, text)))
const number = (field: 'epoch' | 'seq') =>
  z.number().superRefine((value, context) => refuse(context, numberProblem(field, value)))

/** The sentence of the rule, as it is. */
function refuse(context: z.RefinementCtx, problem: string | null): void {
  if (problem !== null) context.addIssue({ code: 'custom', message: problem })
}
const metricFields = Object.fromEntries(
  METRICS.map(({ name: metric, min, max }) => [metric, z.number().min(min).max(max).nullish()]),
)
const tags = z
  .unknown()
  // As the key of an object this is its prototype: the tag would vanish without a word.
  .refine(
    (given) => !Object.hasOwn(Object(given) as object, '__proto__'),
    'tags has a tag named __proto__, which no tag can have',
  )
  // Counted before anything is looked at: a million members must not cost a million checks.
  .superRefine((given, context) => {
    if (typeof given === 'object' && given !== null) refuse(context, tagCountProblem(Object.keys(given).length))
  })
  .pipe(z.record(z.string(), z.string()))
  .superRefine((given, context) => {
    for (const [name, value] of Object.entries(given)) {
      const problem = tagProblem(name, value)
      if (problem !== null) return context.addIssue({ code: 'custom', message: problem, path: [name] })
    }
  })

/** Metrics whose stored value at this time is withdrawn; a metric that is given is not erased as well. */
const erase = z
  .array(z.string())
  .default([])
  .superRefine((names, context) => {
    for (const [i, name] of names.entries()) {
      if (!METRIC_NAMES.includes(name)) refuse(context, `erase has ${clip(name)}, which is not a metric`)
      if (names.indexOf(name) !== i) refuse(context, `erase has ${clip(name)} twice`)
    }
  })

const readingSchema = z.strictObject({
  tenant_id: id('tenant_id').default('default'),
  site_id: id('site_id').default('default'),
  node_id: id('node_id').optional(),
  sensor_id: id('sensor_id'),
  epoch: number('epoch').optional(),
  seq: number('seq').optional(),
  /** See event-time.ts. */
  ts: z.unknown(),
  mono_ms: z.number().default(0),
  tags: tags.default({}),
  erase,
  ...metricFields,
})

export interface CheckedReading {
  readonly reading: Reading
  /** It brought its own epoch and seq; otherwise the log numbers it. */
  readonly numbered: boolean
}

/**
 * @param input one parsed JSON value
 * @param nodeId for readings that name none
 * @param bounds of the event time
 * @throws InputError whose field and message name what is wrong and the limit
 */
export function checkReading(input: unknown, nodeId: string, nowMs: number, bounds: TimeBounds): CheckedReading {
  const parsed = readingSchema.safeParse(input)
  if (!parsed.success) throw refusal(parsed.error.issues[0])
  const given = parsed.data as Record<string, unknown> & z.output<typeof readingSchema>
  const ts = eventTime(given.ts)
  checkTime(ts, nowMs, bounds)
  if ((given.epoch === undefined) !== (given.seq === undefined))
    throw new InputError(
      'INCOMPLETE_NUMBER',
      given.epoch === undefined ? 'epoch' : 'seq',
      'epoch and seq belong together: send both or none',
    )
  if (given.epoch === 0 && given.seq !== 0)
    throw new InputError('OUT_OF_RANGE', 'seq', 'epoch 0 means "not numbered"; seq must then be 0')
  const contradiction = given.erase.find((metric) => given[metric] != null)
  if (contradiction !== undefined)
    throw new InputError('INVALID', 'erase', `${contradiction} has a value and is in erase; it can only be one of both`)
  if (given.erase.length === 0 && METRIC_NAMES.every((metric) => given[metric] == null))
    throw new InputError(
      'NO_METRIC',
      'metrics',
      `the reading has no metric; one of ${METRIC_NAMES.join(', ')} is needed`,
    )
  const reading = { ...given, ts, node_id: given.node_id ?? nodeId, epoch: given.epoch ?? 0, seq: given.seq ?? 0 }
  // `erase` is the one field whose type the index signature of Reading, made for metrics, does not have.
  return { reading: reading as unknown as Reading, numbered: given.epoch !== undefined }
}

type Issue = z.core.$ZodIssue

/** Names from outside are repeated in answers: no longer than they help. */
export const clip = (name: string): string => (name.length > 80 ? `${name.slice(0, 80)}…` : name)

function refusal(issue: Issue): InputError {
  const field = fieldOf(issue)
  const subject = field === '' ? 'the reading' : field
  switch (issue.code) {
    case 'unrecognized_keys':
      return new InputError(
        'UNKNOWN_FIELD',
        clip(issue.keys[0]),
        `${clip(issue.keys[0])} is neither a field nor a metric; the metrics are ${METRIC_NAMES.join(', ')}`,
      )
    case 'too_big':
      return new InputError('OUT_OF_RANGE', field, `${subject} is above the limit ${String(issue.maximum)}`)
    case 'too_small':
      return new InputError('OUT_OF_RANGE', field, `${subject} is below the limit ${String(issue.minimum)}`)
    case 'invalid_type':
      return new InputError('WRONG_TYPE', field, `${subject} ${typeProblem(issue.message)}`)
    case 'custom':
      return new InputError('INVALID', field, issue.message)
    default:
      return new InputError('INVALID', field, `${subject}: ${issue.message}`)
  }
}

/** From zod's "Invalid input: expected number, received string". */
function typeProblem(message: string): string {
  const [, expected, received] = /expected (\w+), received (\w+)/.exec(message) ?? []
  if (expected === undefined) return message
  if (received === 'undefined') return `is missing; it must be of type ${expected}`
  return `is of type ${received}; it must be of type ${expected}`
}

const fieldOf = (issue: Issue): string => clip(issue.path.map(String).join('.'))
