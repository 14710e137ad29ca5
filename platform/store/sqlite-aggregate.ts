// Windowed aggregates of a site. One statement per window reads one primary-key range per sensor and needs no sort
// (grouping by window would sort every row); between windows the event loop turns. Growth of cumulative metrics and
// coverage by seq have statements of their own, since they are sums over sensors.
import type { DatabaseSync, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Metric } from '../../schemas/metrics.ts'
import { Breather } from './breather.ts'
import type { Aggregate, AggregateQuery, AggregateWindow, MetricAggregate, SeqCount } from './port.ts'
import { metricColumn } from './sqlite-migrations.ts'

type Row = Record<string, SQLOutputValue>
/** Named values that every statement over the site's rows is given. */
type Place = { site: string; tenant: string | null }

/** True of a row that was taken at the site. */
const AT_SITE = '(only_site OR source_id IN (SELECT id FROM sources WHERE site = :site))'
/** The site's rows in [:from, :to). CROSS JOIN keeps this order, so one range of the primary key is read per sensor. */
const SITE_ROWS = `
  FROM sensor_sites ss CROSS JOIN sensors s ON s.id = ss.sensor_id
  CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts >= :from AND r.ts < :to
  WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant) AND ${AT_SITE}`

export async function aggregateSite(
  db: DatabaseSync,
  metrics: readonly Metric[],
  query: AggregateQuery,
): Promise<Aggregate> {
  const { site, tenant, windowMs, from, to } = query
  const place: Place = { site, tenant }
  const sensors = countSensors(db, place)
  const chosen = sensors === 0 ? [] : chooseMetrics(db, metrics, query)
  const read = windowReader(db, chosen, place)
  const windows: AggregateWindow[] = []
  const breather = new Breather()
  for (let start = Math.floor(from / windowMs) * windowMs; sensors > 0 && start < to; start += windowMs) {
    await breather.pause()
    const window = read(start, Math.max(from, start), Math.min(to, start + windowMs))
    if (window.count > 0) windows.push(window)
  }
  return {
    sensors,
    windows,
    seqs: sensors === 0 ? { present: 0, expected: 0 } : await countSeqs(db, place, from, to, breather),
  }
}

const countSensors = (db: DatabaseSync, place: Place): number =>
  Number(
    db
      .prepare(
        'SELECT count(*) AS n FROM sensor_sites ss JOIN sensors s ON s.id = ss.sensor_id WHERE site = :site AND (:tenant IS NULL OR tenant = :tenant)',
      )
      .get(place)!.n,
  )

/** The metrics asked for, or those that the latest readings of the site's sensors have. */
function chooseMetrics(
  db: DatabaseSync,
  metrics: readonly Metric[],
  { site, tenant, metrics: asked }: AggregateQuery,
): Metric[] {
  if (asked !== null) return metrics.filter((metric) => asked.includes(metric.name))
  const counts = metrics.map(({ name }) => `count(r.${metricColumn(name)}) AS ${metricColumn(name)}`)
  const latest = db
    .prepare(
      `SELECT ${counts.join(', ')} FROM sensor_sites ss CROSS JOIN sensors s ON s.id = ss.sensor_id
       CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts = (SELECT max(ts) FROM readings WHERE sensor_id = ss.sensor_id)
       WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)`,
    )
    .get({ site, tenant })!
  return metrics.filter(({ name }) => Number(latest[name]) > 0)
}

function windowReader(
  db: DatabaseSync,
  metrics: readonly Metric[],
  place: Place,
): (start: number, from: number, to: number) => AggregateWindow {
  const columns = metrics.map(({ name }, i) => {
    const column = `r.${metricColumn(name)}`
    return `, count(${column}) AS n${i}, min(${column}) AS min${i}, max(${column}) AS max${i}, sum(${column}) AS sum${i}`
  })
  const gauges = db.prepare(`SELECT count(*) AS count${columns.join('')} ${SITE_ROWS}`)
  const growth = new Map(
    metrics.filter(({ kind }) => kind === 'cumulative').map((metric) => [metric.name, prepareGrowth(db, metric)]),
  )
  return (start, from, to) => {
    const values = { ...place, from, to }
    const row = gauges.get(values)!
    const found: Record<string, MetricAggregate> = {}
    metrics.forEach(({ name }, i) => {
      if (Number(row[`n${i}`]) === 0) return
      const increase = growth.get(name)?.get(values)?.increase
      found[name] = { ...metricAggregate(row, i), ...(increase === undefined ? {} : { increase: Number(increase) }) }
    })
    return { start, count: Number(row.count), metrics: found }
  }
}

function metricAggregate(row: Row, i: number): MetricAggregate {
  const count = Number(row[`n${i}`])
  const min = Number(row[`min${i}`])
  const max = Number(row[`max${i}`])
  const sum = Number(row[`sum${i}`])
  // The rounding of the division may lead out of [min, max] by a last digit: 3 × 0.1 / 3 > 0.1.
  return { count, min, max, avg: Math.min(max, Math.max(min, sum / count)), sum }
}

/** Growth of a cumulative metric as port.ts defines it: a few seeks per sensor, however many rows the window has. */
function prepareGrowth(db: DatabaseSync, { name }: Metric): StatementSync {
  const column = metricColumn(name)
  const value = (range: string, order: 'ASC' | 'DESC'): string =>
    `(SELECT ${column} FROM readings WHERE sensor_id = id AND ${range} AND ${column} IS NOT NULL ORDER BY ts ${order} LIMIT 1)`
  const inWindow = `ts >= :from AND ts < :to AND ${AT_SITE}`
  return db.prepare(`WITH
    sensor AS MATERIALIZED (SELECT ss.sensor_id AS id, ss.only_site AS only_site FROM sensor_sites ss JOIN sensors s ON s.id = ss.sensor_id
      WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)),
    ended AS MATERIALIZED (SELECT id, only_site, ${value(inWindow, 'DESC')} AS last FROM sensor)
    SELECT total(max(0, last - coalesce(${value('ts < :from', 'DESC')}, ${value(inWindow, 'ASC')}))) AS increase
    FROM ended WHERE last IS NOT NULL`)
}

/** Sums over (sensor, epoch) what is there and what first to last seq promise. Epoch 0 numbers nothing. */
async function countSeqs(
  db: DatabaseSync,
  place: Place,
  from: number,
  to: number,
  breather: Breather,
): Promise<SeqCount> {
  const values = { ...place, from, to }
  const ends = 'count(*) AS n, min(r.seq) AS low, max(r.seq) AS high'
  const perSensor = db.prepare(
    `SELECT ss.sensor_id AS id, ${ends}, min(r.epoch) AS epoch, max(r.epoch) AS last ${SITE_ROWS} GROUP BY ss.sensor_id`,
  )
  const perEpoch = db.prepare(`SELECT r.epoch AS epoch, ${ends} ${SITE_ROWS} AND ss.sensor_id = :id GROUP BY r.epoch`)
  let present = 0
  let expected = 0
  const add = ({ epoch, n, low, high }: Row): void => {
    if (epoch === 0) return
    present += Number(n)
    expected += Number(high) - Number(low) + 1
  }
  for (const sensor of perSensor.all(values)) {
    await breather.pause()
    // Only a sensor that changed its epoch within the range needs its rows sorted by epoch.
    if (sensor.epoch === sensor.last) add(sensor)
    else for (const epoch of perEpoch.all({ ...values, id: sensor.id })) add(epoch)
  }
  return { present, expected }
}
