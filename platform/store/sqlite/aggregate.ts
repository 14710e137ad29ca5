// Windowed aggregates of a site. Every window is cut into pieces (rollup-plan.ts) that rollups or rows answer. One
// statement per piece reads one primary-key range per sensor and needs no sort (grouping by window would sort every
// row); between windows the event loop turns. Coverage by seq is in seqs.ts.
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { Breather } from '../breather.ts'
import type { Aggregate, AggregateQuery, AggregateWindow, MetricAggregate } from '../port.ts'
import { type Horizons, type Piece, planRange } from '../rollup-plan.ts'
import { metricColumn, rollupColumn, type RollupPart } from './migrations.ts'
import { beforeSql, readHorizons } from './rollup-statements.ts'
import { countSeqs } from './seqs.ts'
import { AT_SITE, findSite, SENSORS, type Site, tailsMeet } from './site.ts'
import { resetSql, stepSql } from './steps.ts'

type Row = Record<string, SQLOutputValue>

export async function aggregateSite(
  db: DatabaseSync,
  metrics: readonly Metric[],
  query: AggregateQuery,
): Promise<Aggregate> {
  const { windowMs, from, to } = query
  const horizons = readHorizons(db)
  const site = findSite(db, query)
  if (site === null) return { sensors: 0, windows: [], seqs: { present: 0, expected: 0 } }
  const read = windowReader(db, chooseMetrics(db, metrics, query, site), site, horizons)
  const windows: AggregateWindow[] = []
  const breather = new Breather()
  for (let start = Math.floor(from / windowMs) * windowMs; start < to; start += windowMs) {
    await breather.pause()
    const window = read(start, Math.max(from, start), Math.min(to, start + windowMs))
    if (window.count > 0) windows.push(window)
  }
  const seqs = await countSeqs(db, site, planRange(from, to, horizons), breather)
  return { sensors: site.sensors.length, windows, seqs }
}

/** The metrics asked for, or those that the latest readings of the site's sensors have. */
function chooseMetrics(
  db: DatabaseSync,
  metrics: readonly Metric[],
  { metrics: asked }: AggregateQuery,
  { place }: Site,
): Metric[] {
  if (asked !== null) return metrics.filter((metric) => asked.includes(metric.name))
  const counts = metrics.map(({ name }) => `count(r.${metricColumn(name)}) AS ${metricColumn(name)}`)
  const latest = db
    .prepare(
      `SELECT ${counts.join(', ')} ${SENSORS}
       CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts = (SELECT max(ts) FROM readings WHERE sensor_id = ss.sensor_id)
       WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)`,
    )
    .get({ site: place.site, tenant: place.tenant })!
  return metrics.filter(({ name }) => Number(latest[name]) > 0)
}

function windowReader(
  db: DatabaseSync,
  metrics: readonly Metric[],
  site: Site,
  horizons: Horizons,
): (start: number, from: number, to: number) => AggregateWindow {
  const sums = new SumReader(db, metrics, site)
  return (start, from, to) => ({ start, ...sums.read(planRange(from, to, horizons)) })
}

/** Counts, extremes, sums and steps over pieces of time. */
class SumReader {
  readonly #db: DatabaseSync
  readonly #metrics: readonly Metric[]
  readonly #site: Site
  /** By table, or "tail" for the rows that no rollup has yet. */
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync, metrics: readonly Metric[], site: Site) {
    this.#db = db
    this.#metrics = metrics
    this.#site = site
  }

  read(pieces: readonly Piece[]): { count: number; metrics: Record<string, MetricAggregate> } {
    const { place, siteId } = this.#site
    const rows: Row[] = []
    for (const { level, from, to } of pieces) {
      if (level === null) rows.push(this.#statement('readings').get({ ...place, from, to })!)
      else {
        rows.push(this.#statement(level.table).get({ ...place, siteId, from, to })!)
        if (tailsMeet(this.#site, from, to)) rows.push(this.#statement('tail').get({ ...place, from, to })!)
      }
    }
    const metrics: Record<string, MetricAggregate> = {}
    this.#metrics.forEach(({ name, kind }, i) => {
      const found = merge(rows, i)
      if (found !== null) metrics[name] = kind === 'cumulative' ? { ...found, ...mergeSteps(rows, i) } : found
    })
    return { count: rows.reduce((sum, { count }) => sum + Number(count), 0), metrics }
  }

  #statement(table: string): StatementSync {
    let statement = this.#statements.get(table)
    if (statement === undefined) {
      const sql = table === 'readings' || table === 'tail' ? this.#ofRows(table === 'tail') : this.#ofRollup(table)
      this.#statements.set(table, (statement = this.#db.prepare(sql)))
    }
    return statement
  }

  /** CROSS JOIN keeps this order, so one range of the primary key is read per sensor. */
  #ofRows(tail: boolean): string {
    const columns = this.#metrics.map(({ kind }, i) => {
      const steps = `, total(${stepSql(`c${i}`, `before${i}`)}) AS increase${i}, total(${resetSql(`c${i}`, `before${i}`)}) AS resets${i}`
      return `, count(c${i}) AS n${i}, min(c${i}) AS min${i}, max(c${i}) AS max${i}, sum(c${i}) AS sum${i}${kind === 'cumulative' ? steps : ''}`
    })
    const cells = this.#metrics.map((metric, i) => {
      const before = metric.kind === 'cumulative' ? `, ${beforeSql(metric, 'r')} AS before${i}` : ''
      return `, r.${metricColumn(metric.name)} AS c${i}${before}`
    })
    const begin = tail ? 'max(:from, s.rolled_to)' : ':from'
    // LIMIT: else the look-up of the value before would be made once for every use of its result.
    return `SELECT count(*) AS count${columns.join('')} FROM (SELECT r.ts${cells.join('')} ${SENSORS}
      CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts >= ${begin} AND r.ts < :to
      WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant) AND ${AT_SITE} LIMIT -1)`
  }

  #ofRollup(table: string): string {
    const columns = this.#metrics.map(({ name, kind }, i) => {
      const part = (one: RollupPart): string => `r.${rollupColumn(name, one)}`
      const steps = `, total(${part('increase')}) AS increase${i}, total(${part('resets')}) AS resets${i}`
      return `, total(${part('n')}) AS n${i}, min(${part('min')}) AS min${i}, max(${part('max')}) AS max${i}, sum(${part('sum')}) AS sum${i}${kind === 'cumulative' ? steps : ''}`
    })
    return `SELECT total(r.count) AS count${columns.join('')} ${SENSORS}
      CROSS JOIN ${table} r ON r.sensor_id = ss.sensor_id AND r.bucket >= :from AND r.bucket < :to
      WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant) AND r.site_id = :siteId`
  }
}

/** Metric i of the pieces as one; null: no value. */
function merge(rows: readonly Row[], i: number): MetricAggregate | null {
  let count = 0
  let min = Infinity
  let max = -Infinity
  let sum = 0
  for (const row of rows) {
    const values = Number(row[`n${i}`])
    if (values === 0) continue
    count += values
    min = Math.min(min, Number(row[`min${i}`]))
    max = Math.max(max, Number(row[`max${i}`]))
    sum += Number(row[`sum${i}`])
  }
  // The rounding of the division may lead out of [min, max] by a last digit: 3 × 0.1 / 3 > 0.1.
  return count === 0 ? null : { count, min, max, avg: Math.min(max, Math.max(min, sum / count)), sum }
}

/** Steps of cumulative metric i of the pieces, added up. */
function mergeSteps(rows: readonly Row[], i: number): { increase: number; resets: number } {
  let increase = 0
  let resets = 0
  for (const row of rows) {
    increase += Number(row[`increase${i}`])
    resets += Number(row[`resets${i}`])
  }
  return { increase, resets }
}
