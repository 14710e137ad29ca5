// The rows of a replica's files. Sensor names are untrusted, and these files are opened in spreadsheets: a cell
// that would be a formula is escaped, and a name never contains a line break, so that a line is a row and a file
// that was cut short can be repaired line by line.
import type { Reading } from '../../platform/codec/reading.ts'
import { guardFormula } from '../../platform/csv.ts'

export const ORDER_HEADER = 'sequence,timestamp,sensor_id,temperature_c,humidity_pct,pressure_hpa\n'
export const LATE_HEADER = 'offset,timestamp,sensor_id,temperature_c,humidity_pct,pressure_hpa\n'

/** The largest distance from 1970 that a date can have, ms. */
const DATE_MAX_MS = 8.64e15
const CONTROLS = /[\p{Cc}\u2028\u2029]/gu

/**
 * A text as a cell. What a spreadsheet would take for a formula is prefixed with an apostrophe, which means "text";
 * control characters are escaped as in JSON.
 */
export function textCell(text: string): string {
  const line = guardFormula(text).replace(
    CONTROLS,
    (control) => `\\u${control.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return /[",]/.test(line) ? `"${line.replaceAll('"', '""')}"` : line
}

/** Event time as ISO 8601 in UTC with ms; a number that no date can have stays a number of ms. */
export const timeCell = (ts: number): string => (Math.abs(ts) <= DATE_MAX_MS ? new Date(ts).toISOString() : String(ts))

const metricCell = (value: unknown): string => (value === null || value === undefined ? '' : String(value))

/**
 * One row including its line break.
 * @param place sequence or offset
 * @param sensor the sensor's `textCell`
 */
export const rowOf = (place: number, sensor: string, reading: Reading): string =>
  `${place},${timeCell(reading.ts)},${sensor},${metricCell(reading.temperature_c)},${metricCell(reading.humidity_pct)},${metricCell(reading.pressure_hpa)}\n`
