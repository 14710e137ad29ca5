// The TDengine store's tables and how they came to be. A numbered migration is recorded after its last statement and
// never edited afterwards; there are no transactions, so every statement can be repeated: a migration that was broken
// off is run again from its beginning. Metric columns follow schemas/reading.avsc, and what is missing is added.
//
// What has no event time of its own (progress, places, joined numbers, migrations) is in a second database, `<name>_state`, which
// keeps its rows whatever KEEP of the first one says: retention of readings must not forget how far the store is.
//
// Layout: one sub-table per sensor, with tenant and sensor as tags. Site, node and labels are columns, since a sensor
// may move and the tags of a sub-table stay as they were when it was made. `places` says which sensor stood where, so
// that nobody has to look for the sensors of a site in all rows. Counters are counted from the rows, never kept: what
// is kept without transactions would drift from them.
import type { Metric } from '../../../schemas/metrics.ts'
import { StoreError } from '../../errors.ts'
import { COLUMN_EXISTS, TdengineError } from './errors.ts'
import { adoptFormerState, hasFormerState } from './former.ts'
import { HISTORY_CHARS, ID_CHARS, metricColumn, STATE_TS, stateOf, TAGS_JSON_CHARS } from './layout.ts'
import { textLiteral } from './sql.ts'
import type { SqlTransport } from './transport.ts'

export { ID_CHARS, STATE_TS, TAGS_JSON_CHARS }

export interface TdengineMigration {
  readonly number: number
  readonly name: string
  /** Statements that may be repeated. */
  readonly statements: (database: string, state: string) => readonly string[]
}

const ID = `NCHAR(${ID_CHARS})`

export const TDENGINE_MIGRATIONS: readonly TdengineMigration[] = [
  {
    number: 1,
    name: 'readings, places and progress',
    statements: (db, state) => [
      `CREATE STABLE IF NOT EXISTS ${db}.readings (ts TIMESTAMP, epoch BIGINT, seq BIGINT, row_version BIGINT, arrival_ms BIGINT, superseded BIGINT, site_id ${ID}, node_id ${ID}, tags_json NCHAR(${TAGS_JSON_CHARS})) TAGS (sensor_id ${ID}, tenant_id ${ID})`,
      `CREATE STABLE IF NOT EXISTS ${state}.places (ts TIMESTAMP, present INT) TAGS (sensor_id ${ID}, tenant_id ${ID}, site_id ${ID})`,
      `CREATE STABLE IF NOT EXISTS ${state}.progress (ts TIMESTAMP, next_offset BIGINT, through_ms BIGINT, event_ms BIGINT) TAGS (topic_name ${ID}, part_no INT)`,
    ],
  },
  {
    number: 2,
    name: 'anomalies',
    statements: (db) => [
      `CREATE STABLE IF NOT EXISTS ${db}.anomalies (ts TIMESTAMP, site_id ${ID}, node_id ${ID}, epoch BIGINT, seq BIGINT, metric_value DOUBLE, score DOUBLE, threshold DOUBLE, mean_value DOUBLE, stddev_value DOUBLE, window_count BIGINT) TAGS (sensor_id ${ID}, tenant_id ${ID}, metric ${ID}, detector ${ID})`,
    ],
  },
  {
    number: 3,
    name: 'readings that share a row',
    statements: (db, state) => [
      `ALTER STABLE ${db}.readings ADD COLUMN history NCHAR(${HISTORY_CHARS})`,
      `CREATE STABLE IF NOT EXISTS ${state}.joined (ts TIMESTAMP, present INT) TAGS (sensor_id ${ID}, tenant_id ${ID}, epoch BIGINT)`,
    ],
  },
]

/**
 * Applies what is missing in a database that exists.
 * @throws StoreError STORE_TOO_NEW when a newer program has migrated the store
 */
export async function migrateTdengine(
  transport: SqlTransport,
  database: string,
  metrics: readonly Metric[],
  migrations = TDENGINE_MIGRATIONS,
): Promise<void> {
  const state = stateOf(database)
  await transport.query(
    `CREATE STABLE IF NOT EXISTS ${state}.migrations (ts TIMESTAMP, migration_name NCHAR(64)) TAGS (migration_number INT)`,
  )
  const applied = await appliedNumber(transport, database)
  const newest = migrations[migrations.length - 1].number
  if (applied > newest) {
    const known = `the store is at migration ${applied}, this program knows ${newest}`
    throw new StoreError('STORE_TOO_NEW', `${known}: run the newer program`)
  }
  if (applied === 0 && (await hasFormerState(transport, database))) {
    for (const { statements } of migrations)
      for (const statement of statements(database, state)) await repeatable(transport, statement)
    await adoptFormerState(transport, database)
  }
  for (const { number, name, statements } of migrations) {
    if (number <= applied) continue
    for (const statement of statements(database, state)) await repeatable(transport, statement)
    await transport.query(
      `INSERT INTO ${state}.\`m_${number}\` USING ${state}.migrations TAGS (${number}) (ts,migration_name) VALUES (${STATE_TS},${textLiteral(name)})`,
    )
  }
  for (const name of await missingMetrics(transport, database, metrics))
    await repeatable(transport, `ALTER STABLE ${database}.readings ADD COLUMN ${name} DOUBLE`)
}

/** True when every migration and every metric column is there: readers wait for it. */
export async function isTdengineMigrated(
  transport: SqlTransport,
  database: string,
  metrics: readonly Metric[],
): Promise<boolean> {
  try {
    const newest = TDENGINE_MIGRATIONS[TDENGINE_MIGRATIONS.length - 1].number
    if ((await appliedNumber(transport, database)) < newest) return false
    return (await missingMetrics(transport, database, metrics)).length === 0
  } catch (error) {
    if (error instanceof StoreError && error.code === 'STORE_NOT_READY') return false
    throw error
  }
}

async function appliedNumber(transport: SqlTransport, database: string): Promise<number> {
  const rows = await transport.query(`SELECT migration_number,migration_name FROM ${stateOf(database)}.migrations`)
  return Math.max(0, ...rows.map(([number]) => Number(number)))
}

async function missingMetrics(
  transport: SqlTransport,
  database: string,
  metrics: readonly Metric[],
): Promise<readonly string[]> {
  const present = new Set((await transport.query(`describe ${database}.readings`)).map(([field]) => field))
  return metrics.map(({ name }) => metricColumn(name)).filter((name) => !present.has(name))
}

/** A column may be there already: after a migration that was broken off, or since two processes start together. */
async function repeatable(transport: SqlTransport, statement: string): Promise<void> {
  try {
    await transport.query(statement)
  } catch (error) {
    if (!(error instanceof TdengineError && error.serverCode === COLUMN_EXISTS)) throw error
  }
}
