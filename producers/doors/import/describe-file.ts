// From the options of the command line to the plan of a file: reads its beginning, the mapping file and the preset.
import { existsSync, openSync, readFileSync, readSync, closeSync } from 'node:fs'
import { isUtf8 } from 'node:buffer'
import { InputError } from '../../../platform/errors.ts'
import { Mapping } from './core/mapping.ts'
import { completePlan, delimiterOf, mergePlans, parsePlan, type Plan, type PlanInput } from './core/plan.ts'
import { cellsOf, filled, type Sample } from './core/sample.ts'
import { variantOf } from './core/presets.ts'
import { presetOf, suggest } from './core/suggest.ts'
import { checkEncoding } from './rows.ts'
import type { FileOptions } from './survey.ts'
import type { TimeBounds } from '../event-time.ts'

/** Enough for some rows of a hundred columns. */
const SAMPLE_BYTES = 131_072
const MAPPING_BYTES_MAX = 1_048_576
const BOMS: readonly (readonly [string, readonly number[]])[] = [
  ['utf-16le', [0xff, 0xfe]],
  ['utf-16be', [0xfe, 0xff]],
]

export interface Described {
  readonly options: FileOptions
  readonly plan: Plan
  /** What was said, and what was proposed, without the defaults. */
  readonly said: PlanInput
  readonly proposals: readonly string[]
  readonly note: string | undefined
}

/**
 * @param given the options of the command line
 * @param mappingFile read below the options, above the preset
 * @param isProposing whether what was not said is proposed from the file's first lines
 * @throws InputError naming an option
 */
export function describeFile(
  file: string,
  given: PlanInput,
  mappingFile: string | undefined,
  bounds: TimeBounds,
  isProposing: boolean,
): Described {
  if (!existsSync(file)) throw new InputError('NO_FILE', 'file', `${file} does not exist`)
  const fromFile = mappingFile === undefined ? undefined : readMapping(mappingFile)
  let said = mergePlans(fromFile, given)
  const bytes = headOf(file)
  const encoding = checkEncoding(said.encoding ?? (isProposing ? encodingOf(bytes) : 'utf-8'))
  const sample: Sample = { encoding: encodingOf(bytes), lines: linesOf(bytes, encoding) }
  const proposals: string[] = []
  const format = said.format ?? formatOf(file, isProposing ? sample : null)
  const detected = isProposing && said.preset === undefined && format === 'csv' ? presetOf(sample, said) : null
  if (detected !== null) {
    proposals.push(`the first line is that of the preset ${detected}`)
    said = { ...said, preset: detected }
  }
  const headerAt = (line: number, delimiter: string): readonly string[] => {
    const lines = filled(sample.lines.slice((said.headerLine ?? line) - 1), said.comment)
    return cellsOf(lines[0] ?? '', said.delimiter === undefined ? delimiter : delimiterOf(said.delimiter))
  }
  const variant = said.preset === undefined ? undefined : variantOf(said.preset, headerAt)
  const known = mergePlans(variant?.plan, said)
  const suggestion = isProposing ? suggest(sample, { ...known, format }) : { plan: {}, reasons: [] }
  const complete = mergePlans(suggestion.plan, known)
  const plan = completePlan(complete, format)
  checkPlan(plan)
  const { delimiter, headerLine, columns, unitsRows, comment } = plan
  return {
    options: {
      ...{ file, format, delimiter, encoding, headerLine, columns, unitsRows, comment, bounds },
      mapping: new Mapping(plan),
    },
    plan: { ...plan, encoding },
    said: complete,
    proposals: [...proposals, ...suggestion.reasons],
    note: variant?.note,
  }
}

function checkPlan({ delimiter, decimal, comment }: Plan): void {
  if (decimal === ',' && delimiter === ',')
    throw new InputError(
      'DECIMAL',
      'decimal',
      'a comma cannot separate both columns and decimals: give --delimiter, such as semicolon or tab',
    )
  if (comment !== undefined && comment === delimiter)
    throw new InputError('COMMENT', 'comment', 'comment lines cannot begin with the delimiter')
}

function readMapping(file: string): PlanInput {
  if (!existsSync(file)) throw new InputError('NO_FILE', 'mapping', `${file} does not exist`)
  const text = readFileSync(file)
  if (text.length > MAPPING_BYTES_MAX)
    throw new InputError('MAPPING', 'mapping', `${file} has ${text.length} bytes; the limit is ${MAPPING_BYTES_MAX}`)
  return parsePlan(text.toString().replace(/^\uFEFF/, ''), file)
}

function headOf(file: string): Buffer {
  const buffer = Buffer.alloc(SAMPLE_BYTES)
  const handle = openSync(file, 'r')
  try {
    return buffer.subarray(0, readSync(handle, buffer, 0, SAMPLE_BYTES, 0))
  } finally {
    closeSync(handle)
  }
}

function encodingOf(bytes: Buffer): string {
  const marked = BOMS.find(([, mark]) => mark.every((byte, i) => bytes[i] === byte))
  if (marked !== undefined) return marked[0]
  // The sample may end within a character.
  const whole = bytes.length < SAMPLE_BYTES ? bytes : bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1)
  return isUtf8(whole) ? 'utf-8' : 'windows-1252'
}

function linesOf(bytes: Buffer, encoding: string): string[] {
  const lines = new TextDecoder(encoding).decode(bytes).split(/\r?\n/)
  return bytes.length < SAMPLE_BYTES ? lines : lines.slice(0, -1)
}

function formatOf(file: string, sample: Sample | null): 'csv' | 'jsonl' {
  if (/\.(jsonl|ndjson)$/i.test(file)) return 'jsonl'
  if (/\.(csv|tsv|txt|dat)$/i.test(file)) return 'csv'
  if (sample !== null) return /^\s*\{/.test(sample.lines[0] ?? '') ? 'jsonl' : 'csv'
  throw new InputError(
    'FORMAT',
    'format',
    `${file} ends in neither .csv nor .jsonl: give --format csv or --format jsonl`,
  )
}
