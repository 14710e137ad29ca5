// Rows of CSV and JSON-lines files, each with its line. A row that cannot be parsed is handed on as an error of its
// line, so that the rest of the file is still read. Memory is bounded: files are streamed, and so is a line's length.
import { createReadStream } from 'node:fs'
import { parse } from 'csv-parse'
import { InputError, messageOf } from '../../../platform/errors.ts'
import type { Row } from './mapping.ts'

export interface FileRow {
  /** From 1, the header of a CSV counted. */
  readonly line: number
  readonly row: Row | InputError
}

/** A line beyond this is not a reading. */
const LINE_MAX = 1_048_576

export function readRows(file: string, format: 'csv' | 'jsonl', delimiter: string): AsyncIterable<FileRow> {
  return format === 'csv' ? csvRows(file, delimiter) : jsonRows(file)
}

async function* csvRows(file: string, delimiter: string): AsyncIterable<FileRow> {
  const parser = parse({
    delimiter,
    columns: true,
    bom: true,
    info: true,
    trim: true,
    skip_empty_lines: true,
    max_record_size: LINE_MAX,
    relax_column_count: true,
  })
  const source = createReadStream(file)
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: Row
      info: { lines: number; error?: Error }
    }>) {
      const row = info.error === undefined ? record : new InputError('CSV', 'row', messageOf(info.error))
      yield { line: info.lines, row }
    }
  } catch (error) {
    const { lines } = parser.info
    if ((error as { code?: string }).code?.startsWith('CSV_') !== true) throw error
    throw new InputError('CSV', 'row', `line ${lines}: ${messageOf(error)}; what follows cannot be read`)
  } finally {
    source.destroy()
  }
}

async function* jsonRows(file: string): AsyncIterable<FileRow> {
  let rest = ''
  let line = 0
  for await (const part of createReadStream(file, 'utf8') as AsyncIterable<string>) {
    const lines = (rest + part).split('\n')
    rest = lines.pop() ?? ''
    for (const text of lines) {
      line += 1
      if (text.trim() !== '') yield { line, row: parseLine(text) }
    }
    if (rest.length > LINE_MAX)
      throw new InputError('LINE_TOO_LONG', 'row', `line ${line + 1} is longer than ${LINE_MAX} characters`)
  }
  if (rest.trim() !== '') yield { line: line + 1, row: parseLine(rest) }
}

function parseLine(text: string): Row | InputError {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row
    return new InputError('NOT_AN_OBJECT', 'row', 'the line is not a JSON object')
  } catch (error) {
    return new InputError('NOT_JSON', 'row', `the line is not JSON: ${messageOf(error)}`)
  }
}
