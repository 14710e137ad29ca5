// Readings from outside, checked: zod schemas derived from the metrics' declaration, so a new metric is accepted and
// bounded without a line here. Every refusal names the field and the limit; one reading gets one refusal, the first.
import { z } from 'zod'
import { InputError } from '../platform/errors.ts'
import { METRIC_NAMES, type Reading } from '../platform/codec/reading.ts'
import { METRICS } from '../schemas/metrics.ts'

/** Event time may be so far ahead: beyond it refine would dead-letter the reading. */
export const FUTURE_MS = 300_000
/** Keys go into every record and every segment header of the log. */
const NAME_MAX = 128
const TAGS_MAX = 64
const TAG_KEY_MAX = 64
const TAG_VALUE_MAX = 256
/** 2^53 - 1: beyond it a number is not exact. */
const LONG_MAX = Number.MAX_SAFE_INTEGER

/** Half a surrogate pair has no UTF-8: two names that differ in one would be one key, and one's readings duplicates. */
const NAME_PATTERN = /^[^\s/\p{Cc}\p{Cs}]+$/u
const name = z
  .string()
  .min(1)
  .max(NAME_MAX)
  .regex(NAME_PATTERN, 'must not hold spaces, control characters, halves of surrogate pairs or "/"')
const long = z.number().int().min(0).max(LONG_MAX)
const metricFields = Object.fromEntries(
  METRICS.map(({ name: metric, min, max }) => [metric, z.number().min(min).max(max).nullish()]),
)
const tagText = (max: number) =>
  z
    .string()
    .max(max)
    .refine((given) => given.isWellFormed(), 'must not hold halves of surrogate pairs')
const tags = z
  .unknown()
  // As the key of an object this is its prototype: the tag would vanish without a word.
  .refine((given) => !Object.hasOwn(Object(given) as object, '__proto__'), 'no tag can have the name __proto__')
  .pipe(z.record(tagText(TAG_KEY_MAX).min(1), tagText(TAG_VALUE_MAX)))
  .refine((given) => Object.keys(given).length <= TAGS_MAX, `at most ${TAGS_MAX} tags`)

const readingSchema = z.strictObject({
  tenant_id: name.default('default'),
  site_id: name.default('default'),
  node_id: name.optional(),
  sensor_id: name,
  epoch: long.optional(),
  seq: long.optional(),
  ts: long,
  mono_ms: z.number().default(0),
  tags: tags.default({}),
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
 * @throws InputError whose field and message name what is wrong and the limit
 */
export function checkReading(input: unknown, nodeId: string, nowMs: number): CheckedReading {
  const parsed = readingSchema.safeParse(input)
  if (!parsed.success) throw refusal(parsed.error.issues[0])
  const given = parsed.data as Record<string, unknown> & z.output<typeof readingSchema>
  if (given.ts > nowMs + FUTURE_MS)
    throw new InputError(
      'FUTURE_TIME',
      'ts',
      `ts is ${given.ts - nowMs} ms ahead of the clock here; the limit is ${FUTURE_MS} ms`,
    )
  if ((given.epoch === undefined) !== (given.seq === undefined))
    throw new InputError(
      'INCOMPLETE_NUMBER',
      given.epoch === undefined ? 'epoch' : 'seq',
      'epoch and seq belong together: send both or none',
    )
  if (given.epoch === 0 && given.seq !== 0)
    throw new InputError('OUT_OF_RANGE', 'seq', 'epoch 0 means "not numbered"; seq must then be 0')
  if (METRIC_NAMES.every((metric) => given[metric] == null))
    throw new InputError(
      'NO_METRIC',
      'metrics',
      `the reading has no metric; one of ${METRIC_NAMES.join(', ')} is needed`,
    )
  return {
    reading: { ...given, node_id: given.node_id ?? nodeId, epoch: given.epoch ?? 0, seq: given.seq ?? 0 },
    numbered: given.epoch !== undefined,
  }
}

type Issue = z.core.$ZodIssue

function refusal(issue: Issue): InputError {
  const field = fieldOf(issue)
  const subject = field === '' ? 'the reading' : field
  switch (issue.code) {
    case 'unrecognized_keys':
      return new InputError(
        'UNKNOWN_FIELD',
        issue.keys[0],
        `${issue.keys[0]} is neither a field nor a metric; the metrics are ${METRIC_NAMES.join(', ')}`,
      )
    case 'too_big':
      return new InputError('OUT_OF_RANGE', field, `${subject} is above the limit ${String(issue.maximum)}`)
    case 'too_small':
      return new InputError('OUT_OF_RANGE', field, `${subject} is below the limit ${String(issue.minimum)}`)
    case 'invalid_type':
      return new InputError('WRONG_TYPE', field, `${subject}: ${issue.message.replace(/^Invalid input: /, '')}`)
    default:
      return new InputError('INVALID', field, `${subject}: ${issue.message}`)
  }
}

const fieldOf = (issue: Issue): string => issue.path.map(String).join('.')
