// The SQLite store's tables and how they came to be. A numbered migration is applied once, in order, in its own
// transaction together with its record, and is never edited afterwards. Metric columns are not numbered: they follow
// schemas/reading.avsc, and whatever is missing is added at start.
//
// Layout: a reading names its sensor and its source (site, node, tags) by small integers, since the texts repeat in
// every row. The primary key (sensor_id, ts) without a rowid keeps a sensor's readings together in order of time;
// aggregates of a site then read one range per sensor, so no index on (site, ts) has to be paid for by every write.
import type { DatabaseSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { StoreError } from '../../errors.ts'
import { BEGINNING_MS, LEVELS } from '../rollup-plan.ts'
import { resetSql, stepSql } from './steps.ts'

export interface Migration {
  readonly number: number
  readonly name: string
  readonly sql: string
}

export const MIGRATIONS: readonly Migration[] = [
  {
    number: 1,
    name: 'readings and progress',
    sql: `
      CREATE TABLE sensors (
        id INTEGER PRIMARY KEY, tenant TEXT NOT NULL, name TEXT NOT NULL, superseded INTEGER NOT NULL DEFAULT 0,
        UNIQUE (tenant, name)
      );
      CREATE INDEX sensors_by_name ON sensors (name);
      CREATE TABLE sources (
        id INTEGER PRIMARY KEY, site TEXT NOT NULL, node TEXT NOT NULL, tags TEXT NOT NULL, UNIQUE (site, node, tags)
      );
      -- only_site: the sensor never stood anywhere else, so all its readings are of this site.
      CREATE TABLE sensor_sites (
        site TEXT NOT NULL, sensor_id INTEGER NOT NULL, only_site INTEGER NOT NULL, PRIMARY KEY (site, sensor_id)
      ) WITHOUT ROWID;
      CREATE INDEX sensor_sites_by_sensor ON sensor_sites (sensor_id);
      CREATE TABLE readings (
        sensor_id INTEGER NOT NULL, ts INTEGER NOT NULL, version INTEGER NOT NULL, epoch INTEGER NOT NULL,
        seq INTEGER NOT NULL, source_id INTEGER NOT NULL, arrival INTEGER NOT NULL, PRIMARY KEY (sensor_id, ts)
      ) WITHOUT ROWID;
      CREATE TABLE progress (
        topic TEXT NOT NULL, partition INTEGER NOT NULL, "offset" INTEGER NOT NULL, through_ms INTEGER, event_ms INTEGER,
        PRIMARY KEY (topic, partition)
      ) WITHOUT ROWID;`,
  },
  {
    number: 2,
    name: 'anomalies',
    sql: `
      CREATE TABLE anomalies (
        tenant TEXT NOT NULL, sensor TEXT NOT NULL, ts INTEGER NOT NULL, metric TEXT NOT NULL, detector TEXT NOT NULL,
        site TEXT NOT NULL, node TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, value REAL, score REAL,
        threshold REAL, mean REAL, stddev REAL, window_count INTEGER NOT NULL,
        PRIMARY KEY (tenant, sensor, ts, metric, detector)
      ) WITHOUT ROWID;
      CREATE INDEX anomalies_by_ts ON anomalies (ts);
      CREATE INDEX anomalies_by_site ON anomalies (site, ts);
      CREATE INDEX anomalies_by_sensor ON anomalies (sensor, ts);`,
  },
  {
    number: 3,
    name: 'counters per sensor and epoch',
    sql: `
      CREATE TABLE lanes (
        sensor_id INTEGER NOT NULL, epoch INTEGER NOT NULL, count INTEGER NOT NULL, min_seq INTEGER NOT NULL,
        max_seq INTEGER NOT NULL, PRIMARY KEY (sensor_id, epoch)
      ) WITHOUT ROWID;
      INSERT INTO lanes SELECT sensor_id, epoch, count(*), min(seq), max(seq) FROM readings GROUP BY sensor_id, epoch;`,
  },
  {
    number: 4,
    name: 'rollups',
    // Nothing is aggregated here: rolled_to says of every sensor how far its rollups go, at first nowhere. The writer
    // moves it in bounded steps, and until then its rows answer. The rollups' tables are made of the metrics: see below.
    sql: `
      CREATE TABLE sites (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
      INSERT INTO sites (name) SELECT DISTINCT site FROM sources;
      ALTER TABLE sources ADD COLUMN site_id INTEGER NOT NULL DEFAULT 0;
      UPDATE sources SET site_id = (SELECT id FROM sites WHERE name = site);
      ALTER TABLE sensors ADD COLUMN rolled_to INTEGER NOT NULL DEFAULT -8640000000000000;
      ALTER TABLE sensors ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
      CREATE TABLE horizons (level TEXT PRIMARY KEY, from_ms INTEGER NOT NULL) WITHOUT ROWID;`,
  },
  {
    number: 5,
    name: 'readings that share a row',
    // history: what merge.ts keeps of the readings of a row, NULL where there is one. joined: numbers of the readings
    // that completed or corrected the row of another, so that completeness does not take them for holes.
    sql: `
      ALTER TABLE readings ADD COLUMN history TEXT;
      CREATE TABLE joined (
        sensor_id INTEGER NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY (sensor_id, epoch, seq)
      ) WITHOUT ROWID;`,
  },
]

/** The migration from which on there are rollups. */
const ROLLUPS_SINCE = 4

/** Columns of readings that are not metrics, in the order of the writer's statements. */
export const ROW_COLUMNS = ['sensor_id', 'ts', 'version', 'epoch', 'seq', 'source_id', 'arrival', 'history'] as const

/** A metric's column name, quoted. Names come from the .avsc, never from outside. */
export function metricColumn(name: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name) || (ROW_COLUMNS as readonly string[]).includes(name))
    throw new Error(`metric ${name} cannot be a column: choose another field name in schemas/reading.avsc`)
  return `"${name}"`
}

/** Columns of a rollup for one metric: how many values, and of them least, greatest and sum; see `rollupColumns`. */
const GAUGE_COLUMNS = ['n', 'min', 'max', 'sum'] as const
/**
 * Of a cumulative metric also the steps that its values end (see `increase` in port.ts), and the last value with its
 * event time, from which the next step is counted where the rows themselves are deleted.
 */
const CUMULATIVE_COLUMNS = ['increase', 'resets', 'last', 'last_ts'] as const
export type RollupPart = (typeof GAUGE_COLUMNS)[number] | (typeof CUMULATIVE_COLUMNS)[number]

/** The column of a rollup that holds one part of a metric's aggregate, quoted. */
export function rollupColumn(name: string, part: RollupPart): string {
  metricColumn(name)
  return `"${name}__${part}"`
}

export const rollupParts = ({ kind }: Metric): readonly RollupPart[] =>
  kind === 'cumulative' ? [...GAUGE_COLUMNS, ...CUMULATIVE_COLUMNS] : GAUGE_COLUMNS

const PART_TYPES: Readonly<Record<RollupPart, string>> = {
  n: 'INTEGER NOT NULL DEFAULT 0',
  min: 'REAL',
  max: 'REAL',
  sum: 'REAL',
  increase: 'REAL NOT NULL DEFAULT 0',
  resets: 'INTEGER NOT NULL DEFAULT 0',
  last: 'REAL',
  last_ts: 'INTEGER',
}

/**
 * Applies what is missing.
 * @param nowMs recorded beside each migration
 * @throws StoreError STORE_TOO_NEW when a newer program has migrated the store
 */
export function migrate(db: DatabaseSync, metrics: readonly Metric[], nowMs: number, migrations = MIGRATIONS): void {
  db.exec(
    'CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_ms INTEGER NOT NULL)',
  )
  for (const migration of migrations) {
    inTransaction(db, () => {
      // Read inside the transaction: a second process that starts at the same time must not apply it again.
      const applied = appliedNumber(db)
      const newest = migrations[migrations.length - 1].number
      if (applied > newest)
        throw new StoreError(
          'STORE_TOO_NEW',
          `the store is at migration ${applied}, this program knows ${newest}: run the newer program`,
        )
      if (migration.number <= applied) return
      db.exec(migration.sql)
      db.prepare('INSERT INTO migrations VALUES (?, ?, ?)').run(migration.number, migration.name, nowMs)
    })
  }
  inTransaction(db, () => {
    for (const addition of missingColumns(db, metrics)) db.exec(addition)
  })
}

/** True when every migration and every metric column is there: readers wait for it. */
export function isMigrated(db: DatabaseSync, metrics: readonly Metric[]): boolean {
  const known =
    db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'").get() !== undefined
  return (
    known && appliedNumber(db) >= MIGRATIONS[MIGRATIONS.length - 1].number && missingColumns(db, metrics).length === 0
  )
}

const appliedNumber = (db: DatabaseSync): number =>
  Number(db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get()!.number)

/** Statements that add what the metrics need and is not there yet: columns of readings and of the rollups. */
function missingColumns(db: DatabaseSync, metrics: readonly Metric[]): string[] {
  const rows = columnsOf(db, 'readings')
  const additions = metrics
    .filter(({ name }) => !rows.has(name))
    .map(({ name }) => `ALTER TABLE readings ADD COLUMN ${metricColumn(name)} REAL`)
  if (appliedNumber(db) < ROLLUPS_SINCE) return additions
  for (const { table } of LEVELS) {
    const present = columnsOf(db, table)
    const missing = metrics.flatMap((metric) =>
      rollupParts(metric)
        .filter((part) => !present.has(`${metric.name}__${part}`))
        .map((part) => `${rollupColumn(metric.name, part)} ${PART_TYPES[part]}`),
    )
    if (present.size === 0) additions.push(createRollup(table, missing))
    else additions.push(...missing.map((column) => `ALTER TABLE ${table} ADD COLUMN ${column}`))
    const meters = metrics.filter(({ name }) => present.has(`${name}__last`) && !present.has(`${name}__increase`))
    if (meters.length > 0) additions.push(...rollAgain(table), ...meters.map(({ name }) => estimateSteps(table, name)))
  }
  return additions
}

/** Rollups of an earlier version know no steps: those of rows that are there are made again from the rows. */
const rollAgain = (table: string): string[] => [
  `DELETE FROM ${table} WHERE sealed = 0`,
  `UPDATE sensors SET rolled_to = ${BEGINNING_MS}`,
]

/** Of rows that are deleted the ends of every bucket are known, and the steps are what is between them. */
function estimateSteps(table: string, name: string): string {
  const column = (part: string): string => `"${name}__${part}"`
  const before = `(SELECT b.${column('last')} FROM ${table} b WHERE b.sensor_id = a.sensor_id AND b.bucket < a.bucket
    AND b.${column('last_ts')} IS NOT NULL ORDER BY b.bucket DESC, b.${column('last_ts')} DESC LIMIT 1)`
  const [first, last] = [`a.${column('first')}`, `a.${column('last')}`]
  return `UPDATE ${table} AS a SET
    ${column('increase')} = ${stepSql(last, first)} + coalesce(${stepSql(first, before)}, 0),
    ${column('resets')} = (${resetSql(last, first)}) + coalesce(${resetSql(first, before)}, 0)
    WHERE ${column('last_ts')} IS NOT NULL`
}

/** sealed: 1 of rows that are deleted, 0 of rows that are there; see sqlite-maintenance.ts. */
const createRollup = (table: string, columns: readonly string[]): string => `CREATE TABLE ${table} (
  sensor_id INTEGER NOT NULL, bucket INTEGER NOT NULL, site_id INTEGER NOT NULL, epoch INTEGER NOT NULL,
  sealed INTEGER NOT NULL, count INTEGER NOT NULL, min_seq INTEGER NOT NULL, max_seq INTEGER NOT NULL,
  ${columns.join(', ')}, PRIMARY KEY (sensor_id, bucket, site_id, epoch, sealed)) WITHOUT ROWID`

const columnsOf = (db: DatabaseSync, table: string): Set<unknown> =>
  new Set(
    db
      .prepare('SELECT name FROM pragma_table_info(?)')
      .all(table)
      .map(({ name }) => name),
  )

function inTransaction(db: DatabaseSync, work: () => void): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    work()
    db.exec('COMMIT')
  } catch (error) {
    db.exec('ROLLBACK')
    throw error
  }
}
