// Everything that can be said of a file before any of it is sent: how many of its rows are readings, what is wrong
// with the others, from when to when it reaches, and its digest. A file with too many errors is refused as a whole,
// so that a corrected one does not double what had gone in.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { InputError } from '../../../platform/errors.ts'
import { type CheckedReading, checkReading } from '../reading-check.ts'
import type { TimeBounds } from '../event-time.ts'
import type { Mapping } from './mapping.ts'
import { type FileRow, readRows, type RowSource } from './rows.ts'

export interface FileOptions extends RowSource {
  readonly mapping: Mapping
  readonly bounds: TimeBounds
}

export interface LineError {
  readonly line: number
  readonly column: string
  readonly code: string
  readonly message: string
}

export interface Survey {
  readonly readings: number
  readonly rejected: number
  /** The first ones, at most `ERRORS_SHOWN`. */
  readonly errors: readonly LineError[]
  readonly tsMin: number
  readonly tsMax: number
}

export const NODE_ID = 'import'
export const ERRORS_SHOWN = 100

/**
 * Readings of a file in order. The same file and options give the same readings, so their count is a place to continue from.
 * @param shiftMs added to every time
 */
export async function* readReadings(
  options: FileOptions,
  shiftMs: number,
  nowMs: number,
  onError: (error: LineError) => void,
): AsyncIterable<CheckedReading> {
  let first = true
  for await (const fileRow of readRows(options)) {
    if (first) checkColumns(options, fileRow)
    first = false
    const checked = check(options, fileRow, shiftMs, nowMs)
    if ('line' in checked) onError(checked)
    else yield checked
  }
}

/** @param nowMs times beyond it are refused, unless they are to be shifted */
export async function surveyFile(options: FileOptions, nowMs: number): Promise<Survey> {
  const errors: LineError[] = []
  let rejected = 0
  let readings = 0
  let tsMin = Infinity
  let tsMax = -Infinity
  const onError = (error: LineError): void => {
    rejected += 1
    if (errors.length < ERRORS_SHOWN) errors.push(error)
  }
  for await (const { reading } of readReadings(options, 0, nowMs, onError)) {
    readings += 1
    tsMin = Math.min(tsMin, reading.ts)
    tsMax = Math.max(tsMax, reading.ts)
  }
  return { readings, rejected, errors, tsMin, tsMax }
}

/** SHA-256 over the file and what is made of it: another mapping makes other readings. */
export async function digestOf(file: string, options: unknown): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(options))
  for await (const part of createReadStream(file)) hash.update(part as Buffer)
  return hash.digest('hex')
}

function check(
  options: FileOptions,
  { line, row }: FileRow,
  shiftMs: number,
  nowMs: number,
): CheckedReading | LineError {
  try {
    if (row instanceof InputError) throw row
    return checkReading(options.mapping.toReading(row, shiftMs), NODE_ID, nowMs, options.bounds)
  } catch (error) {
    if (error instanceof InputError) return { line, column: error.field, code: error.code, message: error.message }
    throw error
  }
}

function checkColumns({ mapping, format, file }: FileOptions, { row }: FileRow): void {
  if (row instanceof InputError || format !== 'csv') return
  const missing = mapping.columns.filter((column) => !(column in row))
  if (missing.length > 0)
    throw new InputError(
      'COLUMNS',
      missing[0],
      `${file} has no column ${missing.join(', ')}; it has ${Object.keys(row).join(', ')}`,
    )
}
