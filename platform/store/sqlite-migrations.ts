// The SQLite store's tables and how they came to be. A numbered migration is applied once, in order, in its own
// transaction together with its record, and is never edited afterwards. Metric columns are not numbered: they follow
// schemas/reading.avsc, and whatever is missing is added at start.
//
// Layout: a reading names its sensor and its source (site, node, tags) by small integers, since the texts repeat in
// every row. The primary key (sensor_id, ts) without a rowid keeps a sensor's readings together in order of time;
// aggregates of a site then read one range per sensor, so no index on (site, ts) has to be paid for by every write.
import type { DatabaseSync } from 'node:sqlite'
import type { Metric } from '../../schemas/metrics.ts'
import { StoreError } from '../errors.ts'

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
]

/** Columns of readings that are not metrics, in the order of the writer's statements. */
export const ROW_COLUMNS = ['sensor_id', 'ts', 'version', 'epoch', 'seq', 'source_id', 'arrival'] as const

/** A metric's column name, quoted. Names come from the .avsc, never from outside. */
export function metricColumn(name: string): string {
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(name) || (ROW_COLUMNS as readonly string[]).includes(name))
    throw new Error(`metric ${name} cannot be a column: choose another field name in schemas/reading.avsc`)
  return `"${name}"`
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
    for (const name of missingMetrics(db, metrics))
      db.exec(`ALTER TABLE readings ADD COLUMN ${metricColumn(name)} REAL`)
  })
}

/** True when every migration and every metric column is there: readers wait for it. */
export function isMigrated(db: DatabaseSync, metrics: readonly Metric[]): boolean {
  const known =
    db.prepare("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migrations'").get() !== undefined
  return (
    known && appliedNumber(db) >= MIGRATIONS[MIGRATIONS.length - 1].number && missingMetrics(db, metrics).length === 0
  )
}

const appliedNumber = (db: DatabaseSync): number =>
  Number(db.prepare('SELECT coalesce(max(number), 0) AS number FROM migrations').get()!.number)

function missingMetrics(db: DatabaseSync, metrics: readonly Metric[]): string[] {
  const present = new Set(
    db
      .prepare("SELECT name FROM pragma_table_info('readings')")
      .all()
      .map((row) => row.name),
  )
  return metrics.map((metric) => metric.name).filter((name) => !present.has(name))
}

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
