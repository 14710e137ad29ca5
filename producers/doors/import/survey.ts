// Everything that can be said of a file before any of it is sent: how many of its rows are readings, what is wrong
// with the others, from when to when it reaches, and its digest. A file with too many errors is refused as a whole,
// so that a corrected one does not double what had gone in.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { InputError } from '../../../platform/errors.ts'
import { type CheckedReading, checkReading } from '../reading-check.ts'
import type { TimeBounds } from '../event-time.ts'
import type { Mapping, RowReader } from './core/mapping.ts'
import { Merger, type Part } from './core/merge.ts'
import { type FileRow, namesIn, readRows, type RowBatch, type RowSource } from './rows.ts'

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

/** What a pass over a file tells beside its readings. */
export interface Listener {
  readonly onError: (error: LineError) => void
  /** Once, before the first row. */
  readonly onHeader?: (batch: RowBatch) => void
  /** Once, after the last row. */
  readonly onEnd?: (reader: RowReader) => void
}

export interface Survey {
  readonly readings: number
  readonly rejected: number
  /** Rejected rows without any value, where texts for missing values were given: they are expected. */
  readonly empty: number
  /** The first ones, at most `ERRORS_SHOWN`. */
  readonly errors: readonly LineError[]
  readonly tsMin: number
  readonly tsMax: number
  /** Columns of a CSV, or names in the first lines of JSON. */
  readonly header: readonly string[]
  /** Of the units row, by column. */
  readonly units: readonly string[]
  /** Rows that a condition left out. */
  readonly filtered: number
  /** Names that the mapping does not have, with their rows. */
  readonly unmapped: ReadonlyMap<string, number>
}

export const NODE_ID = 'import'
export const ERRORS_SHOWN = 100
const NOTHING = 'NO_METRIC'

/**
 * Readings of a file in order, in batches. The same file and options give the same readings, so their count is a place to
 * continue from.
 * @param shiftMs added to every time
 */
export async function* readReadings(
  options: FileOptions,
  shiftMs: number,
  nowMs: number,
  { onError, onHeader, onEnd }: Listener,
): AsyncIterable<CheckedReading[]> {
  let reader: RowReader | null = null
  const merger = options.mapping.isLong ? new Merger() : null
  let readings: CheckedReading[] = []
  const take = ({ line, reading }: Part): void => {
    const checked = attempt(line, () => checkReading(reading, NODE_ID, nowMs, options.bounds), onError)
    if (checked !== null) readings.push(checked)
  }
  for await (const batch of readRows(options)) {
    if (reader === null) {
      checkColumns(options, batch)
      onHeader?.(batch)
      reader = options.mapping.bind(batch.header)
    }
    readings = []
    for (const { line, row } of batch.rows) {
      const parts = attempt(line, () => partsOf(reader!, { line, row }, shiftMs), onError)
      if (parts === null) continue
      for (const reading of parts) {
        if (merger === null) take({ line, reading })
        else for (const part of merger.add({ line, reading })) take(part)
      }
    }
    if (readings.length > 0) yield readings
  }
  readings = []
  for (const part of merger?.flush() ?? []) take(part)
  if (readings.length > 0) yield readings
  if (reader !== null) onEnd?.(reader)
}

/** @param nowMs times beyond it are refused, unless they are to be shifted */
export async function surveyFile(
  options: FileOptions,
  nowMs: number,
  onReading?: (reading: CheckedReading['reading']) => void,
): Promise<Survey> {
  const errors: LineError[] = []
  const toleratesEmpty = options.mapping.options.missing.some((text) => text !== '')
  let [readings, rejected, empty, filtered] = [0, 0, 0, 0]
  let header: readonly string[] = []
  let units: readonly string[] = []
  let unmapped: ReadonlyMap<string, number> = new Map()
  let tsMin = Infinity
  let tsMax = -Infinity
  const listener: Listener = {
    onError: (error) => {
      rejected += 1
      const isExpected = toleratesEmpty && error.code === NOTHING
      if (isExpected) empty += 1
      if (errors.length < ERRORS_SHOWN && (!isExpected || empty === 1)) errors.push(error)
    },
    onHeader: (batch) => {
      header = namesIn(batch)
      units = batch.units[0] ?? []
    },
    onEnd: (reader) => {
      filtered = reader.filtered
      unmapped = reader.unmapped
    },
  }
  for await (const batch of readReadings(options, 0, nowMs, listener))
    for (const { reading } of batch) {
      readings += 1
      if (reading.ts < tsMin) tsMin = reading.ts
      if (reading.ts > tsMax) tsMax = reading.ts
      onReading?.(reading)
    }
  return { readings, rejected, empty, errors, tsMin, tsMax, header, units, filtered, unmapped }
}

/** SHA-256 over the file and what is made of it: another mapping makes other readings. */
export async function digestOf(file: string, options: unknown): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(options))
  for await (const part of createReadStream(file)) hash.update(part as Buffer)
  return hash.digest('hex')
}

function partsOf(reader: RowReader, { row }: FileRow, shiftMs: number): Record<string, unknown>[] {
  if (row instanceof InputError) throw row
  return reader.read(row, shiftMs)
}

/** Null when it is refused, which `onError` is told. */
function attempt<T>(line: number, work: () => T, onError: (error: LineError) => void): T | null {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof InputError)) throw error
    onError({ line, column: error.field, code: error.code, message: error.message })
    return null
  }
}

function checkColumns({ mapping, file }: FileOptions, { header }: RowBatch): void {
  if (header === null) return
  const missing = mapping.columns.filter((column) => !header.includes(column))
  if (missing.length > 0)
    throw new InputError(
      'COLUMNS',
      missing[0],
      `${file} has no column ${missing.join(', ')}; it has ${header.join(', ')}. "plumbline import FILE --preview" proposes a mapping`,
    )
}
