// Rows of CSV and JSON-lines files, each with its line, in batches of what one read of the file gave. A row that cannot
// be parsed is passed on as an error of its line, so that the rest of the file is still read. Memory is bounded: files are
// streamed, and so is a line's length. Whatever its encoding, a file is read as UTF-8 from here on; a byte order mark at
// its beginning is no part of it.
import { isUtf8 } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { CsvError, type Info, type Options, Parser } from 'csv-parse'
import { InputError, messageOf } from '../../../platform/errors.ts'
import { parseLine } from '../http/body.ts'
import type { Row } from './core/mapping.ts'

export interface FileRow {
  /** From 1, all lines of the file counted. */
  readonly line: number
  readonly row: Row | InputError
}

export interface RowBatch {
  /** Of a CSV; null for JSON lines. */
  readonly header: readonly string[] | null
  /** The rows after the header that are not data: units, kinds of aggregation. */
  readonly units: readonly (readonly string[])[]
  readonly rows: readonly FileRow[]
}

export interface RowSource {
  readonly file: string
  readonly format: 'csv' | 'jsonl'
  readonly delimiter: string
  /** As TextDecoder knows it: utf-8, utf-16le, latin1… */
  readonly encoding: string
  /** The line of the header; 1 if not given. */
  readonly headerLine?: number
  /** Names of the columns. Without `headerLine` the file has no header. */
  readonly columns?: readonly string[]
  /** Rows after the header that are not data. */
  readonly unitsRows?: number
  /** Lines that begin with it are left out. */
  readonly comment?: string
}

/** A line beyond this is not a reading. */
const LINE_MAX = 1_048_576
const NEWLINE = 0x0a
const CR = 0x0d
const BOM = Buffer.from([0xef, 0xbb, 0xbf])

/** Enough to meet every name that usually occurs. */
const NAMING_ROWS = 100

/** The columns of a CSV, or the names in the first lines of JSON. */
export function namesIn({ header, rows }: RowBatch): readonly string[] {
  if (header !== null) return header
  const names = new Set<string>()
  for (const { row } of rows.slice(0, NAMING_ROWS))
    if (!(row instanceof InputError)) for (const name of Object.keys(row)) names.add(name)
  return [...names]
}

export function readRows(source: RowSource): AsyncIterable<RowBatch> {
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
export async function* utf8Bytes({ file, encoding }: Pick<RowSource, 'file' | 'encoding'>): AsyncIterable<Buffer> {
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

/** Without the first `count` lines. */
async function* withoutLines(parts: AsyncIterable<Buffer>, count: number): AsyncIterable<Buffer> {
  let left = count
  for await (const part of parts) {
    let at = 0
    while (left > 0 && at < part.length) {
      const end = part.indexOf(NEWLINE, at)
      at = end < 0 ? part.length : end + 1
      if (end >= 0) left -= 1
    }
    if (at < part.length) yield at === 0 ? part : part.subarray(at)
  }
}

/**
 * With LF for CRLF: the parser counts a line break in quotes twice, and errors would name wrong lines. A CR at the end of
 * a part waits for the next one.
 */
async function* withPlainBreaks(parts: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  let rest = ''
  for await (const part of parts) {
    if (rest === '' && !part.includes(CR)) {
      yield part
      continue
    }
    const text = rest + part.toString('latin1')
    rest = text.endsWith('\r') ? '\r' : ''
    yield Buffer.from(text.slice(0, text.length - rest.length).replaceAll('\r\n', '\n'), 'latin1')
  }
  if (rest !== '') yield Buffer.from(rest)
}

/** Takes records as they are made: they pass through no queue of the stream. */
class RecordParser extends Parser {
  readonly records: { line: number; record: string[] }[] = []

  constructor(options: Options) {
    super(options)
    // Nothing is read from it: the end of the readable side must not be waited for.
    this.resume()
  }

  override push(record: string[] | null): boolean {
    if (record === null) return super.push(null)
    this.records.push({ line: (this.info as Info).lines, record })
    return true
  }

  takeRecords(): { line: number; record: string[] }[] {
    return this.records.splice(0)
  }
}

/** @throws InputError CSV for an option that a CSV cannot have */
function openParser(source: RowSource): RecordParser {
  try {
    return new RecordParser({
      delimiter: source.delimiter,
      bom: true,
      trim: true,
      skip_empty_lines: true,
      skip_records_with_empty_values: true,
      max_record_size: LINE_MAX,
      relax_column_count: true,
      ...(source.comment === undefined ? {} : { comment: source.comment, comment_no_infix: true }),
    })
  } catch (error) {
    if (!(error instanceof CsvError)) throw error
    throw new InputError('CSV', 'delimiter', messageOf(error))
  }
}

async function* csvRows(source: RowSource): AsyncIterable<RowBatch> {
  const skipped = (source.headerLine ?? 1) - 1
  const parser = openParser(source)
  const hasHeader = source.columns === undefined || source.headerLine !== undefined
  const units: string[][] = []
  let header = source.columns === undefined ? null : checkHeader(source.columns)
  let isOpen = hasHeader
  const batchOf = (records: readonly { line: number; record: string[] }[]): RowBatch | null => {
    const rows: FileRow[] = []
    for (const { line, record } of records) {
      if (isOpen) {
        header ??= checkHeader(record)
        isOpen = false
      } else if (units.length < (source.unitsRows ?? 0)) units.push(record)
      else rows.push({ line: line + skipped, row: record })
    }
    return header === null || isOpen ? null : { header, units, rows }
  }
  let failure: Error | null = null
  parser.on('error', (error) => (failure = error))
  try {
    for await (const part of withPlainBreaks(withoutLines(utf8Bytes(source), skipped))) {
      await written((done) => parser.write(part, done))
      const batch = batchOf(parser.takeRecords())
      if (batch !== null) yield batch
    }
    await written((done) => parser.end(done))
    const batch = batchOf(parser.takeRecords())
    if (batch !== null) yield batch
  } catch (error) {
    const cause: unknown = failure ?? error
    if (!(cause instanceof CsvError)) throw cause
    const { lines } = cause as { lines?: number }
    const where = lines === undefined ? '' : `line ${lines + skipped}: `
    throw new InputError('CSV', 'row', `${where}${messageOf(cause)}; what follows cannot be read`)
  } finally {
    parser.destroy()
  }
}

const written = (write: (done: (error?: Error | null) => void) => void): Promise<void> =>
  new Promise((resolve, reject) => {
    write((error) => (error == null ? resolve() : reject(error)))
  })

/** A name that two columns have would silently mean the last of them. */
function checkHeader(names: readonly string[]): readonly string[] {
  const repeated = names.find((name, i) => name !== '' && names.indexOf(name) !== i)
  if (repeated === undefined) return names
  const places = names.flatMap((name, i) => (name === repeated ? [i + 1] : []))
  throw new InputError(
    'REPEATED_NAME',
    repeated,
    `the header has the name ${repeated} in columns ${places.join(' and ')}; give names of your own by --header-line and --columns`,
  )
}

async function* jsonRows(source: RowSource): AsyncIterable<RowBatch> {
  let rest: Buffer = Buffer.alloc(0)
  let line = 0
  for await (const part of utf8Bytes(source)) {
    const bytes = rest.length === 0 ? part : Buffer.concat([rest, part])
    const rows: FileRow[] = []
    let at = 0
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, at)) {
      line += 1
      const row = rowOf(bytes.subarray(at, end), line)
      if (row !== null) rows.push({ line, row })
      at = end + 1
    }
    rest = bytes.subarray(at)
    if (rows.length > 0) yield { header: null, units: [], rows }
    if (rest.length > LINE_MAX)
      throw new InputError(
        'LINE_TOO_LONG',
        'row',
        `line ${line + 1} has more than ${LINE_MAX} bytes, which is the limit`,
      )
  }
  const row = rowOf(rest, line + 1)
  if (row !== null) yield { header: null, units: [], rows: [{ line: line + 1, row }] }
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
