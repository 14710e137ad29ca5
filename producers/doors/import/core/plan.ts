// What is made of a file: the options of the command line over a mapping file over a preset over the defaults. The mapping
// file holds the options by their names, with _ for -, so that it can be read, written by the preview and kept beside
// the data.
import { z } from 'zod'
import { InputError } from '../../../../platform/errors.ts'
import type { MappingOptions } from './mapping.ts'

const text = z.string().min(1)
const texts = z.array(z.string().max(1_024)).max(1_000)

const planSchema = z.strictObject({
  preset: text,
  format: z.enum(['csv', 'jsonl']),
  encoding: text,
  delimiter: text,
  decimal: z.enum(['.', ',']),
  header_line: z.number().int().min(1).max(1_000),
  columns: texts,
  units_rows: z.number().int().min(0).max(10),
  comment: text,
  ts_columns: texts.min(1),
  ts_format: text,
  tz: text,
  tz_twice: z.enum(['refuse', 'earlier', 'later', 'order']),
  tz_skipped: z.enum(['refuse', 'earlier', 'later']),
  sensor: text,
  sensor_column: text,
  tenant: text,
  site: text,
  map: texts,
  names_column: text,
  value_column: text,
  names: texts,
  missing: texts,
  where: texts,
  tags: z.record(z.string(), z.string()),
  numbered: z.boolean(),
})
const partialSchema = planSchema.partial()

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}` : S
type Camels<T> = { readonly [K in keyof T as Camel<K & string>]?: T[K] }
/** What the user, a mapping file or a preset says; what is not said is undefined. */
export type PlanInput = Camels<z.output<typeof planSchema>>

/** Everything said. */
export interface Plan extends MappingOptions {
  readonly format: 'csv' | 'jsonl'
  readonly encoding: string
  readonly delimiter: string
  readonly headerLine?: number
  readonly columns?: readonly string[]
  readonly unitsRows?: number
  readonly comment?: string
}

const KEYS = Object.keys(planSchema.shape) as (keyof z.output<typeof planSchema>)[]
const camel = (key: string): string => key.replaceAll(/_(\w)/g, (_, letter: string) => letter.toUpperCase())

/**
 * @param json the text of a mapping file
 * @throws InputError MAPPING, naming the key
 */
export function parsePlan(json: string, file: string): PlanInput {
  let value: unknown
  try {
    value = JSON.parse(json)
  } catch (cause) {
    throw new InputError('MAPPING', 'mapping', `${file} is not JSON: ${(cause as Error).message}`)
  }
  const parsed = partialSchema.safeParse(value)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    const where = issue.code === 'unrecognized_keys' ? issue.keys[0] : issue.path.join('.')
    const why =
      issue.code === 'unrecognized_keys' ? `is not a key of a mapping; the keys are ${KEYS.join(', ')}` : issue.message
    throw new InputError('MAPPING', 'mapping', `${file}: ${where} ${why}`)
  }
  const input: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(parsed.data)) input[camel(key)] = part
  return input
}

/** As a mapping file; what is not said is left out. */
export function printPlan(input: PlanInput): string {
  const said = KEYS.map((key) => [key, (input as Record<string, unknown>)[camel(key)]] as const)
  const shown = said.filter(([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0))
  return `${JSON.stringify(Object.fromEntries(shown), null, 2)}\n`
}

/** The later input decides. */
export function mergePlans(...inputs: readonly (PlanInput | undefined)[]): PlanInput {
  const merged: Record<string, unknown> = {}
  for (const input of inputs)
    for (const [key, value] of Object.entries(input ?? {})) if (value !== undefined) merged[key] = value
  return merged
}

/** With the defaults for what is not said. @param format by the file's name */
export function completePlan(input: PlanInput, format: 'csv' | 'jsonl'): Plan {
  return {
    ...input,
    format: input.format ?? format,
    encoding: input.encoding ?? 'utf-8',
    delimiter: delimiterOf(input.delimiter ?? ','),
    map: input.map ?? [],
    tsColumns: input.tsColumns ?? ['ts'],
    tsFormat: input.tsFormat ?? 'ms',
    missing: input.missing ?? [],
    tags: input.tags ?? {},
  }
}

const DELIMITERS: Readonly<Record<string, string>> = {
  tab: '\t',
  '\\t': '\t',
  comma: ',',
  semicolon: ';',
  space: ' ',
  pipe: '|',
}
export const delimiterOf = (given: string): string => DELIMITERS[given.toLowerCase()] ?? given

/**
 * What decides which readings a file makes, as JSON for its digest. Options that earlier versions had come first and in
 * their form, and the others only where they are said, so that a file that an earlier version began is continued.
 */
export function identityOf(plan: Plan): unknown {
  const { format, delimiter, encoding, map, tsColumns, tsFormat, sensor, sensorColumn, tenant, site, tags } = plan
  const missing = plan.missing.length === 1 ? plan.missing[0] : plan.missing.length === 0 ? '' : plan.missing
  const { decimal, headerLine, columns, unitsRows, comment, tz, tzTwice, tzSkipped } = plan
  const { namesColumn, valueColumn, names, where, numbered } = plan
  return {
    format,
    delimiter,
    mapping: { map, tsColumns, tsFormat, sensor, sensorColumn, tenant, site, missing, tags },
    ...(encoding === 'utf-8' ? {} : { encoding }),
    // What is undefined is not in the JSON.
    ...{ decimal, headerLine, columns, unitsRows, comment, tz, tzTwice, tzSkipped },
    ...{ namesColumn, valueColumn, names, where, numbered },
  }
}
