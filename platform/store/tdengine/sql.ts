// Text of statements, pure. Nothing from outside is in a statement but as a quoted literal without a backslash or
// control character, or as a checked number; names of sub-tables are hashes. The forms are those that the recorded
// statements of a real server have (testdata/tdengine.jsonl), down to the blanks.
import { createHash } from 'node:crypto'
import { StorePoisonError } from '../store-errors.ts'

/** The server's bound is 1,048,576 bytes. */
export const STATEMENT_BYTES_MAX = 1_000_000
/** Smallest normal double: the server refuses what is nearer to 0 and not 0; that is written as 0. */
const NORMAL_MIN = 2.2250738585072014e-308

// Control characters (a NUL is refused by the server), the backslash that escapes, and the mark of the encoding.
const ENCODED = /[\u0000-\u001f\u007f-\u009f\\%]/g

/** Ordinary texts stay as they are; an empty one becomes "%", which no other text does. */
export const encodeText = (text: string): string =>
  text === ''
    ? '%'
    : text.replace(ENCODED, (char) => `%${char.charCodeAt(0).toString(16).padStart(2, '0').toUpperCase()}`)

export const decodeText = (stored: string): string =>
  stored === '%' ? '' : stored.replace(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))

/**
 * @param name for the message
 * @param charsMax of the column; absent where the text is only compared
 * @throws StorePoisonError that names the text before a round trip is spent
 */
export function textLiteral(text: string, name = '', charsMax = Infinity): string {
  const stored = encodeText(text)
  if (stored.length > charsMax && [...stored].length > charsMax)
    throw new StorePoisonError(`${name} needs ${[...stored].length} characters in TDengine; the limit is ${charsMax}`)
  return `'${stored.replaceAll("'", "''")}'`
}

/** @throws StorePoisonError for NaN and the infinities, which SQL cannot say; it names them before a round trip is spent */
export function numberLiteral(value: number | null, name: string): string {
  if (value === null) return 'NULL'
  if (!Number.isFinite(value))
    throw new StorePoisonError(`TDengine cannot hold ${name} = ${value}: only NULL and finite numbers`)
  return Math.abs(value) < NORMAL_MIN ? '0' : String(value).replace('e+', 'e')
}

/** @throws StorePoisonError when it is no integer that JSON carries exactly */
export function integerLiteral(value: number, name: string): string {
  if (!Number.isSafeInteger(value)) throw new StorePoisonError(`TDengine cannot hold ${name} = ${value} exactly`)
  return String(value)
}

/** Name of the sub-table for these identifiers: 128 bits of a hash, so any text makes a name that is allowed. */
export const subTable = (prefix: string, ...identifiers: readonly string[]): string =>
  `${prefix}_${createHash('sha256').update(JSON.stringify(identifiers)).digest('hex').slice(0, 32)}`

/** Rows of one sub-table, which comes into being with its tags at the first of them. */
export interface TableRows {
  /** With its database. */
  readonly superTable: string
  readonly table: string
  /** Literals, in the order of the super table's tags. */
  readonly tags: readonly string[]
  readonly columns: readonly string[]
  /** "(…)" each. */
  readonly rows: readonly string[]
}

/**
 * INSERT statements below the bound, each with as many rows as fit.
 * @throws StorePoisonError when one row alone is too long
 */
export function insertStatements(tables: Iterable<TableRows>): string[] {
  const statements: string[] = []
  let text = ''
  let bytes = 0
  let into = ''
  const append = (part: string, partBytes: number): void => {
    text += part
    bytes += partBytes
  }
  for (const { superTable, table, tags, columns, rows } of tables) {
    const database = superTable.slice(0, superTable.indexOf('.'))
    const head = `${database}.\`${table}\` USING ${superTable} TAGS (${tags.join(',')}) (${columns.join(',')}) VALUES `
    const headBytes = Buffer.byteLength(head) + 1
    let open = false
    // No statement writes into two databases.
    if (text !== '' && database !== into) {
      statements.push(text)
      text = ''
    }
    into = database
    for (const row of rows) {
      const rowBytes = Buffer.byteLength(row)
      if (rowBytes + headBytes > STATEMENT_BYTES_MAX - INSERT.length)
        throw new StorePoisonError(`a row of ${rowBytes} bytes is longer than a statement of TDengine may be`)
      if (text !== '' && bytes + rowBytes + (open ? 0 : headBytes) > STATEMENT_BYTES_MAX) {
        statements.push(text)
        text = ''
        open = false
      }
      if (text === '') {
        text = INSERT
        bytes = INSERT.length
      }
      if (!open) append(` ${head}`, headBytes)
      append(row, rowBytes)
      open = true
    }
  }
  if (text !== '') statements.push(text)
  return statements
}

const INSERT = 'INSERT INTO'

/** A row's history, see merge.ts. By WebSocket a NULL of a text column is the text "NULL", which is no JSON object. */
export const historyCell = (cell: unknown): string | null =>
  typeof cell === 'string' && cell.startsWith('{') ? decodeText(cell) : null

/** Event time of a timestamp cell, ms. */
export const timeOf = (cell: unknown): number => Date.parse(String(cell))

/** Joins the conditions that are given; '' without one. */
export function where(...conditions: readonly (string | undefined)[]): string {
  const given = conditions.filter((condition) => condition !== undefined)
  return given.length === 0 ? '' : ` WHERE ${given.join(' AND ')}`
}

export const tableIn = (tables: readonly string[]): string =>
  `tbname IN (${tables.map((name) => `'${name}'`).join(',')})`

/** Sub-tables named in one statement: some 40 kB of text. */
export const TABLES_PER_STATEMENT = 1_000

export function* chunksOf<T>(items: readonly T[], size: number): Generator<T[]> {
  for (let at = 0; at < items.length; at += size) yield items.slice(at, at + size)
}
