// A reading as a line of an export: all fields of the schema, then when it arrived and whether it came too late for its
// place in the order. Pure.
import type { Reading } from '../../../platform/codec/reading.ts'
import { csvLine } from '../../../platform/csv.ts'
import { loadSchema } from '../../../schemas/load.ts'

export type ExportFormat = 'jsonl' | 'csv'

const FIELDS = loadSchema('reading').fields.map(({ name }) => name)
const COLUMNS = [...FIELDS, 'arrival', 'late']

/** The header of the file. */
export const exportHeader = (format: ExportFormat): string => (format === 'csv' ? csvLine(COLUMNS) : '')

/** @param arrivalMs broker's time at which it was appended to its topic, ms */
export function exportLine(format: ExportFormat, reading: Reading, arrivalMs: number, late: boolean): string {
  if (format === 'jsonl') {
    const fields = Object.fromEntries(FIELDS.map((name) => [name, reading[name]]))
    return `${JSON.stringify({ ...fields, arrival: arrivalMs, late })}\n`
  }
  const cells = FIELDS.map((name) => {
    const value = reading[name] ?? null
    return value !== null && typeof value === 'object' ? JSON.stringify(value) : value
  })
  return csvLine([...cells, arrivalMs, String(late)])
}
