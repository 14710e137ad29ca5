// `--preview`: reads a file as an import would and shows what it would do. It needs no broker and no registry, and sends
// nothing.
import { writeFileSync } from 'node:fs'
import { InputError } from '../../../platform/errors.ts'
import type { Reading } from '../../../platform/codec/reading.ts'
import { originsOf } from './core/describe.ts'
import type { Row } from './core/mapping.ts'
import { printPlan } from './core/plan.ts'
import { nextStep, type PreviewInput, previewLines } from './core/preview.ts'
import { Statistics } from './core/statistics.ts'
import type { Described } from './describe-file.ts'
import { namesIn, readRows, type RowBatch } from './rows.ts'
import { type Survey, surveyFile } from './survey.ts'

const READINGS_SHOWN = 10
const ERRORS_SHOWN = 10

/** @param writeTo where the mapping file goes; it must not exist yet */
export async function preview(
  described: Described,
  nowMs: number,
  writeTo: string | undefined,
  print: (line: string) => void,
): Promise<void> {
  const { options, plan, said, proposals, note } = described
  const { mapping, file } = options
  const first = await firstBatch(described)
  const header = first === null ? [] : namesIn(first)
  const statistics = new Statistics()
  const firstReadings: Reading[] = []
  const outcome = await attempt(() =>
    surveyFile(options, nowMs, (reading) => {
      if (firstReadings.length < READINGS_SHOWN) firstReadings.push(reading)
      statistics.add(reading)
    }),
  )
  const survey = outcome instanceof InputError ? NOTHING : outcome
  const row = first?.rows[0]?.row
  const input: PreviewInput = {
    ...{ file, plan, mapping, header, proposals, note, firstReadings },
    units: first?.units ?? [],
    firstRow: row === undefined || row instanceof InputError ? [] : cellsOf(row, header),
    origins: originsOf(mapping, header, first?.units[0] ?? []),
    result: {
      ...survey,
      errors: errorsOf(survey),
      statistics,
      failure: outcome instanceof InputError ? outcome.message : null,
    },
  }
  for (const line of previewLines(input)) print(line)
  if (writeTo !== undefined) writeFileSync(writeTo, printPlan(said), { flag: 'wx' })
  for (const line of nextStep(file, said, writeTo ?? null)) print(line)
}

const NOTHING: Survey = {
  ...{ readings: 0, rejected: 0, empty: 0, filtered: 0, tsMin: 0, tsMax: 0 },
  ...{ errors: [], header: [], units: [], unmapped: new Map<string, number>() },
}

/** The first of each kind. */
function errorsOf({ errors }: Survey): string[] {
  const kinds = Map.groupBy(errors, ({ column, code }) => `${column} ${code}`)
  return [...kinds.values()].slice(0, ERRORS_SHOWN).map(([{ line, column, message }, ...more]) => {
    const others = more.length === 0 ? '' : ` (also in line ${more[0].line}${more.length > 1 ? ' and others' : ''})`
    return `line ${line}, ${column || 'row'}: ${message}${others}`
  })
}

/** An operator's error is what the preview is for: it is shown, after everything else. */
async function attempt<T>(work: () => Promise<T>): Promise<T | InputError> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
}

async function firstBatch({ options }: Described): Promise<RowBatch | null> {
  const found = await attempt(async () => {
    for await (const batch of readRows(options)) if (batch.rows.length > 0) return batch
    return null
  })
  return found instanceof InputError ? null : found
}

function cellsOf(row: Row, header: readonly string[]): string[] {
  if (Array.isArray(row)) return row.map(String)
  const cells = row as Readonly<Record<string, unknown>>
  return header.map((name) =>
    typeof cells[name] === 'object' ? JSON.stringify(cells[name]) : String(cells[name] ?? ''),
  )
}
