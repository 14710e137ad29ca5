// Rows of CSV and JSON-lines files, each with its line. A row that cannot be parsed is handed on as an error of its
// line, so that the rest of the file is still read. Memory is bounded: files are streamed, and so is a line's length.
// Whatever its encoding, a file is read as UTF-8 from here on; a byte order mark at its beginning is no part of it.
import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { InputError, messageOf } from '../../../platform/errors.ts'
import { parseLine } from '../http/body.ts'
import type { Row } from './mapping.ts'

export interface FileRow {
  /** From 1, the header of a CSV counted. */
  readonly line: number
  readonly row: Row | InputError
}

export interface RowSource {
  readonly file: string
  readonly format: 'csv' | 'jsonl'
  readonly delimiter: string
  /** As TextDecoder knows it: utf-8, utf-16le, latin1… */
  readonly encoding: string
}

/** A line beyond this is not a reading. */
const LINE_MAX = 1_048_576
const NEWLINE = 0x0a
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

export function readRows(source: RowSource): AsyncIterable<FileRow> {
  return source.format === 'csv' ? csvRows(source) : jsonRows(source)
}

/** @throws InputError naming the option */
export function checkEncoding(encoding: string): string {
  try {
    return new TextDecoder(encoding).encoding
  } catch {
    throw new InputError(
      'ENCODING',
      'encoding',
      `${encoding} is not an encoding; use utf-8, utf-16le, latin1 or another one of the WHATWG's list`,
    )
  }
}

/** The file's bytes as UTF-8. @throws InputError ENCODING for bytes that the encoding does not have */
async function* utf8Bytes({ file, encoding }: RowSource): AsyncIterable<Buffer> {
  const parts = createReadStream(file) as AsyncIterable<Buffer>
  if (encoding === 'utf-8') return yield* parts
  const decoder = new TextDecoder(encoding, { fatal: true })
  try {
    for await (const part of parts) yield Buffer.from(decoder.decode(part, { stream: true }))
    yield Buffer.from(decoder.decode())
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    throw new InputError('ENCODING', 'encoding', `${file} is not text in ${encoding}`)
  }
}

async function* csvRows(source: RowSource): AsyncIterable<FileRow> {
  const bytes = Readable.from(utf8Bytes(source), { objectMode: false })
  try {
    const parser = parse({
      delimiter: source.delimiter,
      columns: checkHeader,
      bom: true,
      info: true,
      trim: true,
      skip_empty_lines: true,
      max_record_size: LINE_MAX,
      relax_column_count: true,
    })
    bytes.on('error', (error) => parser.destroy(error))
    bytes.pipe(parser)
    for await (const { record, info } of parser as AsyncIterable<{
      record: Row
      info: { lines: number; error?: Error }
    }>) {
      const row = info.error === undefined ? record : new InputError('CSV', 'row', messageOf(info.error))
      yield { line: info.lines, row }
    }
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    const { lines } = error as { lines?: number }
    const where = lines === undefined ? '' : `line ${lines}: `
    throw new InputError('CSV', 'row', `${where}${messageOf(error)}; what follows cannot be read`)
  } finally {
    bytes.destroy()
  }
}

/** A name that two columns have would silently mean the last of them. */
function checkHeader(names: string[]): string[] {
  const repeated = names.find((name, i) => name !== '' && names.indexOf(name) !== i)
  if (repeated === undefined) return names
  const places = names.flatMap((name, i) => (name === repeated ? [i + 1] : []))
  throw new InputError(
    'REPEATED_NAME',
    repeated,
    `the header has the name ${repeated} in columns ${places.join(' and ')}`,
  )
}

async function* jsonRows(source: RowSource): AsyncIterable<FileRow> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const part of utf8Bytes(source)) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part])
    let at = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      line += 1
      const row = rowOf(bytes.subarray(at, end), line)
      if (row !== null) yield { line, row }
      at = end + 1
    }
    rest = bytes.subarray(at)
    if (rest.length > LINE_MAX)
      throw new InputError(
        'LINE_TOO_LONG',
        'row',
        `line ${line + 1} has more than ${LINE_MAX} bytes, which is the limit`,
      )
  }
  const row = rowOf(rest, line + 1)
  if (row !== null) yield { line: line + 1, row }
}

/** null for a blank line. */
function rowOf(bytes: Buffer, line: number): Row | InputError | null {
  const text = (line === 1 && bytes.subarray(0, BOM.length).equals(BOM) ? bytes.subarray(BOM.length) : bytes).toString()
  if (text.trim() === '') return null
  try {
    const value = parseLine(text, !isUtf8(bytes))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row
    return new InputError('NOT_AN_OBJECT', 'row', 'the line is not a JSON object')
  } catch (error) {
    if (error instanceof InputError) return error
    throw error
  }
}
