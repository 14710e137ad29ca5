// Cells of CSV files (RFC 4180) that are safe to open in a spreadsheet: identifiers come from outside, and a program that
// takes a cell for a formula would run it. Text is marked, never changed otherwise; numbers are written as they are, so
// a negative measurement stays a number.

/**
 * Where a mark goes: in front of what spreadsheets take for the beginning of a formula, in ASCII or full width, at the start
 * of the cell and wherever a program set to another separator would begin a cell. Our own mark is marked as well, so that
 * taking the marks off gives the text back.
 */
const FORMULA_START = /(?<=^|[;\t\r\n])(?=\s*[=+\-@\t\r'＝＋－＠])/g
/** A reader would split here, or trim. */
const QUOTED = /[",\r\n]|^\s|\s$/

/** The text with a mark wherever a formula could begin. */
export const guardFormula = (text: string): string => text.replace(FORMULA_START, "'")

/** One cell, without its separator; null is an empty cell. */
export function csvCell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  const text = guardFormula(value)
  return QUOTED.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** One line with its line end (LF, as every tool here reads and writes it). */
export const csvLine = (cells: readonly (string | number | null)[]): string => `${cells.map(csvCell).join(',')}\n`
