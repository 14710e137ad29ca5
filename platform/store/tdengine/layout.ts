// Names and sizes of the TDengine store's tables, for those who write and read them; schema.ts makes the tables.
import { ID_BYTES_MAX } from '../../codec/identity.ts'

/**
 * Time of rows that have no event time of their own (progress, places, migrations), ms: a sub-table holds one such row
 * and each write replaces it.
 */
export const STATE_TS = Date.UTC(2020, 0, 1)
/** Characters of an identifier as it is stored: each byte of the longest (codec/identity.ts) may be encoded as three. */
export const ID_CHARS = 3 * ID_BYTES_MAX
/** Characters of a reading's labels as JSON. */
export const TAGS_JSON_CHARS = 4_096
/** Characters of what is kept of several readings in one row: sixteen of them, and a version per metric. */
export const HISTORY_CHARS = 4_096

/** The database of what has no event time. */
export const stateOf = (database: string): string => `${database}_state`

/** Columns of readings that are not metrics, in the order of the writer's rows. */
export const ROW_COLUMNS = [
  'ts',
  'epoch',
  'seq',
  'row_version',
  'arrival_ms',
  'superseded',
  'site_id',
  'node_id',
  'tags_json',
  'history',
] as const

/** A metric's column; names come from the .avsc, never from outside. */
export function metricColumn(name: string): string {
  if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)+$/.test(name) || [...ROW_COLUMNS, 'sensor_id', 'tenant_id'].includes(name))
    throw new Error(`metric ${name} cannot be a column: name it like power_w in schemas/reading.avsc`)
  return name
}
