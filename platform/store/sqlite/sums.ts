// Counts, extremes, sums and steps of a site's sensors over pieces of time, from rows or rollups.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import type { MetricAggregate } from '../port.ts'
import type { Piece } from '../rollup-plan.ts'
import { metricColumn, rollupColumn, type RollupPart } from './migrations.ts'
import { beforeSql } from './rollup-statements.ts'
import { AT_SITE, SENSORS, type Site, tailsMeet } from './site.ts'
import { resetSql, stepSql } from './steps.ts'

type Row = Record<string, SQLOutputValue>

/** What has been read of one window so far. */
export interface Sums {
  count: number
  /** By index of the metrics; null: no value yet. */
  readonly metrics: (OpenAggregate | null)[]
}

interface OpenAggregate {
  count: number
  min: number
  max: number
  sum: number
  increase: number
  resets: number
}

export interface WindowResult {
  readonly count: number
  readonly metrics: Readonly<Record<string, MetricAggregate>>
}

/** Where the values come from. */
type Source = 'readings' | 'tail' | 'rollup_1s' | 'rollup_1m' | 'rollup_1h'

export class SumReader {
  readonly #db: DatabaseSync
  readonly #metrics: readonly Metric[]
  readonly #site: Site
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync, metrics: readonly Metric[], site: Site) {
    this.#db = db
    this.#metrics = metrics
    this.#site = site
  }

  /** All sensors over the pieces of one window. */
  read(pieces: readonly Piece[]): WindowResult {
    const sums = this.#open()
    for (const piece of pieces)
      for (const source of this.#sourcesOf(piece))
        this.#add(sums, this.#statement(source, false).get(this.#range(source, piece))!)
    return this.resultOf(sums)
  }

  /** The sensors with ids from `low` to `high` over a piece that may span several windows, by the start of the window. */
  readInto(windows: Map<number, Sums>, piece: Piece, windowMs: number, low: number, high: number): void {
    for (const source of this.#sourcesOf(piece)) {
      const range = { ...this.#range(source, piece), window: windowMs, low, high }
      for (const row of this.#statement(source, true).all(range)) {
        const start = Number(row.start)
        let sums = windows.get(start)
        if (sums === undefined) windows.set(start, (sums = this.#open()))
        this.#add(sums, row)
      }
    }
  }

  resultOf({ count, metrics }: Sums): WindowResult {
    const found: Record<string, MetricAggregate> = {}
    this.#metrics.forEach(({ name, kind }, i) => {
      const sums = metrics[i]
      if (sums === null) return
      const { increase, resets, ...plain } = sums
      // The rounding of the division may lead out of [min, max] by a last digit: 3 × 0.1 / 3 > 0.1.
      const avg = Math.min(plain.max, Math.max(plain.min, plain.sum / plain.count))
      found[name] = { ...plain, avg, ...(kind === 'cumulative' ? { increase, resets } : {}) }
    })
    return { count, metrics: found }
  }

  #open(): Sums {
    return { count: 0, metrics: this.#metrics.map(() => null) }
  }

  #add(sums: Sums, row: Row): void {
    sums.count += Number(row.count)
    for (let i = 0; i < this.#metrics.length; i += 1) {
      const values = Number(row[`n${i}`])
      if (values === 0) continue
      const open = (sums.metrics[i] ??= { count: 0, min: Infinity, max: -Infinity, sum: 0, increase: 0, resets: 0 })
      open.count += values
      open.min = Math.min(open.min, Number(row[`min${i}`]))
      open.max = Math.max(open.max, Number(row[`max${i}`]))
      open.sum += Number(row[`sum${i}`])
      if (this.#metrics[i].kind !== 'cumulative') continue
      open.increase += Number(row[`increase${i}`])
      open.resets += Number(row[`resets${i}`])
    }
  }

  /** A piece of rollups also needs the rows that no rollup has yet, where there are some. */
  #sourcesOf({ level, from, to }: Piece): Source[] {
    if (level === null) return ['readings']
    return tailsMeet(this.#site, from, to) ? [level.table as Source, 'tail'] : [level.table as Source]
  }

  #range(source: Source, { from, to }: Piece): Record<string, SQLInputValue> {
    const { place, siteId } = this.#site
    return source === 'readings' || source === 'tail' ? { ...place, from, to } : { ...place, siteId, from, to }
  }

  /** @param grouped by window, over some of the sensors */
  #statement(source: Source, grouped: boolean): StatementSync {
    const key = `${source} ${grouped}`
    let statement = this.#statements.get(key)
    if (statement === undefined) {
      const isRows = source === 'readings' || source === 'tail'
      const sql = isRows ? this.#ofRows(source === 'tail', grouped) : this.#ofRollup(source, grouped)
      this.#statements.set(key, (statement = this.#db.prepare(sql)))
    }
    return statement
  }

  /** CROSS JOIN keeps this order, so one range of the primary key is read per sensor. */
  #ofRows(tail: boolean, grouped: boolean): string {
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
    return `SELECT ${startOf('ts', grouped)} count(*) AS count${columns.join('')} FROM (SELECT r.ts${cells.join('')} ${SENSORS}
      CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts >= ${begin} AND r.ts < :to
      WHERE ${ofSensors(grouped)} AND ${AT_SITE} LIMIT -1) ${grouped ? 'GROUP BY start' : ''}`
  }

  #ofRollup(table: string, grouped: boolean): string {
    const columns = this.#metrics.map(({ name, kind }, i) => {
      const part = (one: RollupPart): string => `r.${rollupColumn(name, one)}`
      const steps = `, total(${part('increase')}) AS increase${i}, total(${part('resets')}) AS resets${i}`
      return `, total(${part('n')}) AS n${i}, min(${part('min')}) AS min${i}, max(${part('max')}) AS max${i}, sum(${part('sum')}) AS sum${i}${kind === 'cumulative' ? steps : ''}`
    })
    return `SELECT ${startOf('r.bucket', grouped)} total(r.count) AS count${columns.join('')} ${SENSORS}
      CROSS JOIN ${table} r ON r.sensor_id = ss.sensor_id AND r.bucket >= :from AND r.bucket < :to
      WHERE ${ofSensors(grouped)} AND r.site_id = :siteId ${grouped ? 'GROUP BY start' : ''}`
  }
}

/** SQLite's remainder has the sign of what is divided, and event times may be negative. */
const startOf = (time: string, grouped: boolean): string =>
  grouped ? `${time} - ((${time} % :window) + :window) % :window AS start,` : ''

const ofSensors = (grouped: boolean): string =>
  `ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)${grouped ? ' AND ss.sensor_id BETWEEN :low AND :high' : ''}`
