// The metrics of a reading, derived from reading.avsc: the one place where a metric is declared. Columns of the
// stores, validation bounds, API names and the dashboard all come from this list.
import { type AvroField, loadSchema } from './load.ts'

export interface Metric {
  readonly name: string
  readonly unit: string
  /** Physical bounds, inclusive, in `unit`. */
  readonly min: number
  readonly max: number
  /** A gauge may go up and down; a cumulative metric never decreases. */
  readonly kind: 'gauge' | 'cumulative'
  readonly doc: string
}

/** In the order of the schema; an index into this list names a metric within one process, never in a log. */
export const METRICS: readonly Metric[] = loadSchema('reading')
  .fields.filter((field): field is AvroField & Metric => 'unit' in field)
  .map(({ name, unit, min, max, kind, doc }) => Object.freeze({ name, unit, min, max, kind, doc }))
