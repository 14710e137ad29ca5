// The statements behind the rollups of the SQLite store, made once per connection from the schema's metrics.
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { type Horizons, HOUR, type Level, LEVELS, MINUTE, NO_HORIZONS } from '../rollup-plan.ts'
import { metricColumn, rollupColumn, type RollupPart, rollupParts } from './migrations.ts'
import { cumulative, resetSql, stepSql } from './steps.ts'

/** Metrics that have a bit in `present`; those beyond are taken to occur. */
export const MASKED_METRICS = 31
/** Every metric may occur. */
export const ALL_METRICS = -1
/** Statements kept; sensors have few different sets of metrics. */
const FILLS = 200

/** Columns of a rollup that are not metrics', in the order in which every statement here gives them. */
const KEY = 'sensor_id, bucket, site_id, epoch, sealed, count, min_seq, max_seq'

export function readHorizons(db: DatabaseSync): Horizons {
  const stored = db.prepare('SELECT level, from_ms FROM horizons').all()
  return { ...NO_HORIZONS, ...Object.fromEntries(stored.map(({ level, from_ms }) => [level, Number(from_ms)])) }
}

/**
 * The sensor's value before that of a row, as SQL; NULL where the row has none. Where the rows before are deleted, it is
 * the last value of what is sealed.
 * @param row alias of a row of readings
 */
export function beforeSql({ name }: Metric, row: string): string {
  const column = metricColumn(name)
  const [last, lastTs] = [rollupColumn(name, 'last'), rollupColumn(name, 'last_ts')]
  const inRows = `(SELECT b.${column} FROM readings b WHERE b.sensor_id = ${row}.sensor_id AND b.ts < ${row}.ts
    AND b.${column} IS NOT NULL ORDER BY b.ts DESC LIMIT 1)`
  const sealed = [MINUTE, HOUR].map(
    ({ table }) => `(SELECT b.${last} FROM ${table} b WHERE b.sensor_id = ${row}.sensor_id AND b.bucket < ${row}.ts
      AND b.sealed = 1 AND b.${lastTs} < ${row}.ts ORDER BY b.bucket DESC, b.${lastTs} DESC LIMIT 1)`,
  )
  return `CASE WHEN ${row}.${column} IS NOT NULL THEN coalesce(${[inRows, ...sealed].join(', ')}) END`
}

export function prepareRollups(db: DatabaseSync, metrics: readonly Metric[]) {
  const into = ({ table }: Level, having = metrics): string => {
    const columns = having.flatMap((metric) => rollupParts(metric).map((part) => rollupColumn(metric.name, part)))
    return `INSERT INTO ${table} (${[KEY, ...columns].join(', ')})`
  }
  const fills = new Map<string, StatementSync>()
  const per = (sql: (level: Level) => string): ((level: Level) => StatementSync) => {
    const statements = new Map(LEVELS.map((level) => [level, db.prepare(sql(level))]))
    return (level) => statements.get(level)!
  }
  const meters = cumulative(metrics)
  const hasMeter = meters.map(({ name }) => `${rollupColumn(name, 'n')} > 0`).join(' OR ')
  const merge = `ON CONFLICT DO UPDATE SET ${mergeSeals(metrics)}`
  return {
    rolledTo: db.prepare('SELECT rolled_to FROM sensors WHERE id = ?'),
    setRolledTo: db.prepare('UPDATE sensors SET rolled_to = ? WHERE id = ?'),
    firstTs: db.prepare('SELECT min(ts) AS ts FROM readings WHERE sensor_id = ? AND ts >= ?'),
    stepEnd: db.prepare('SELECT ts FROM readings WHERE sensor_id = ? AND ts >= ? ORDER BY ts LIMIT 1 OFFSET ?'),
    /** The first minute from :from on that has a value of one of the metrics that steps are counted of. */
    nextMinute:
      meters.length === 0
        ? null
        : db.prepare(
            `SELECT bucket FROM ${MINUTE.table} WHERE sensor_id = :id AND bucket >= :from AND (${hasMeter}) ORDER BY bucket LIMIT 1`,
          ),
    /** Whether [:from, :to) has such a value. */
    hasSteps:
      meters.length === 0
        ? null
        : db.prepare(
            `SELECT 1 FROM ${MINUTE.table} WHERE sensor_id = :id AND bucket >= :from AND bucket < :to AND (${hasMeter}) LIMIT 1`,
          ),
    /** Deletes the buckets of [:from, :to) that come from rows that are there. */
    remove: per(
      ({ table }) => `DELETE FROM ${table} WHERE sensor_id = :id AND bucket >= :from AND bucket < :to AND sealed = 0`,
    ),
    /**
     * Fills the buckets of [:from, :to) from rows or from a finer level.
     * @param present bit i: metric i may occur; leaving the others out saves more than half of the work
     */
    fill(level: Level, source: Level | null, present: number): StatementSync {
      const shape = `${level.name} ${source?.name} ${present}`
      let statement = fills.get(shape)
      if (statement === undefined) {
        const having = metrics.filter((_, i) => i >= MASKED_METRICS || (present >>> i) & 1)
        const select = source === null ? fromRows(having, level) : fromRollup(having, level, source, 0)
        if (fills.size >= FILLS) fills.clear()
        fills.set(shape, (statement = db.prepare(`${into(level, having)} ${select}`)))
      }
      return statement
    },
    /** Adds the buckets of [:from, :to) to what is sealed. */
    seal: per((level) => `${into(level)} ${fromRollup(metrics, level, level, 1)} ${merge}`),
    /** Adds the minutes of [:from, :to) to the sealed hours. */
    sealHours: db.prepare(`${into(HOUR)} ${fromRollup(metrics, HOUR, MINUTE, 1)} ${merge}`),
  }
}

/** Start of the bucket; SQLite's remainder has the sign of what is divided, and event times may be negative. */
const bucketOf = (time: string, { sizeMs }: Level): string =>
  `${time} - ((${time} % ${sizeMs}) + ${sizeMs}) % ${sizeMs}`

function fromRows(metrics: readonly Metric[], level: Level): string {
  const parts: Readonly<Record<RollupPart, (column: string) => string>> = {
    n: (column) => `count(${column})`,
    min: (column) => `min(${column})`,
    max: (column) => `max(${column})`,
    sum: (column) => `sum(${column})`,
    increase: (column) => `total(${stepSql(column, beforeOf(column))})`,
    resets: (column) => `coalesce(sum(${resetSql(column, beforeOf(column))}), 0)`,
    last_ts: (column) => `max(ts) FILTER (WHERE ${column} IS NOT NULL)`,
    last: () => 'NULL',
  }
  const grouped = metrics.flatMap((metric) =>
    rollupParts(metric).map(
      (part) => `, ${parts[part](metricColumn(metric.name))} AS ${rollupColumn(metric.name, part)}`,
    ),
  )
  return withEnds(
    metrics,
    `SELECT sensor_id, ${bucketOf('ts', level)} AS bucket, p.site_id AS site_id, epoch, 0 AS sealed, count(*) AS count,
     min(seq) AS min_seq, max(seq) AS max_seq ${grouped.join('')}
     FROM ${rowsWithBefore(metrics)} JOIN sources p ON p.id = source_id
     WHERE sensor_id = :id AND ts >= :from AND ts < :to GROUP BY 2, 3, 4`,
  )
}

const beforeOf = (column: string): string => `before_${column.slice(1, -1)}`

/** The rows, with the value before each of a cumulative metric. */
function rowsWithBefore(metrics: readonly Metric[]): string {
  const meters = cumulative(metrics)
  if (meters.length === 0) return 'readings'
  const befores = meters.map((metric) => `, ${beforeSql(metric, 'r')} AS ${beforeOf(metricColumn(metric.name))}`)
  // LIMIT: else the look-up would be made once for every use of its result.
  return `(SELECT r.*${befores.join('')} FROM readings r WHERE r.sensor_id = :id AND r.ts >= :from AND r.ts < :to LIMIT -1)`
}

function fromRollup(metrics: readonly Metric[], level: Level, { table }: Level, sealed: 0 | 1): string {
  const total: Readonly<Record<RollupPart, string>> = {
    n: 'sum',
    min: 'min',
    max: 'max',
    sum: 'sum',
    increase: 'total',
    resets: 'sum',
    last_ts: 'max',
    last: 'max',
  }
  const grouped = metrics.flatMap((metric) =>
    rollupParts(metric).map((part) => {
      const column = rollupColumn(metric.name, part)
      return `, ${total[part]}(${column}) AS ${column}`
    }),
  )
  return withEnds(
    metrics,
    `SELECT sensor_id, ${bucketOf('bucket', level)} AS bucket, site_id, epoch, ${sealed} AS sealed,
     sum(count) AS count, min(min_seq) AS min_seq, max(max_seq) AS max_seq ${grouped.join('')}
     FROM ${table} WHERE sensor_id = :id AND bucket >= :from AND bucket < :to AND sealed = 0 GROUP BY 2, 3, 4`,
  )
}

/** Looks the last value of cumulative metrics up by its time: its row is there. */
function withEnds(metrics: readonly Metric[], grouped: string): string {
  const valueAt = (name: string, time: RollupPart): string =>
    `(SELECT ${metricColumn(name)} FROM readings WHERE sensor_id = g.sensor_id AND ts = g.${rollupColumn(name, time)})`
  const columns = metrics.flatMap((metric) =>
    rollupParts(metric).map((part) => {
      if (part === 'last') return valueAt(metric.name, 'last_ts')
      return `g.${rollupColumn(metric.name, part)}`
    }),
  )
  // WHERE true: else the parser takes an ON CONFLICT after it for a join's ON.
  return `SELECT ${[KEY, ...columns].join(', ')} FROM (${grouped}) g WHERE true`
}

function mergeSeals(metrics: readonly Metric[]): string {
  const assignments = metrics.flatMap((metric) =>
    rollupParts(metric).map((part) => {
      const column = rollupColumn(metric.name, part)
      const added = `excluded.${column}`
      const time = rollupColumn(metric.name, 'last_ts')
      const later = `excluded.${time} > coalesce(${time}, excluded.${time} - 1)`
      switch (part) {
        case 'n':
        case 'increase':
        case 'resets':
          return `${column} = ${column} + ${added}`
        case 'sum':
          return `${column} = coalesce(${column} + ${added}, ${column}, ${added})`
        case 'min':
        case 'max':
          return `${column} = coalesce(${part}(${column}, ${added}), ${column}, ${added})`
        case 'last':
        case 'last_ts':
          return `${column} = CASE WHEN ${later} THEN ${added} ELSE ${column} END`
      }
    }),
  )
  return [
    'count = count + excluded.count, min_seq = min(min_seq, excluded.min_seq), max_seq = max(max_seq, excluded.max_seq)',
    ...assignments,
  ].join(', ')
}
