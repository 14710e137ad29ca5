// Cells of CSV files (RFC 4180) that are safe to open in a spreadsheet: identifiers come from outside, and a program that
// takes a cell for a formula would run it. Text is marked, never changed otherwise; numbers are written as they are, so
// a negative measurement stays a number.

/** What spreadsheets take for the beginning of a formula; and our own mark, so that taking one off gives the text back. */
const MARKED = /^[=+\-@\t\r']/
/** A reader would split here, or trim. */
const QUOTED = /[",\r\n]|^\s|\s$/

/** One cell, without its separator; null is an empty cell. */
export function csvCell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = MARKED.test(value) ? `'${value}` : value
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** One line with its line end (LF, as every tool here reads and writes it). */
export const csvLine = (cells: readonly (string | number | null)[]): string => `${cells.map(csvCell).join(',')}\n`
