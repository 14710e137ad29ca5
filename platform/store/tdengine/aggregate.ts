// Windowed aggregates of a site by TDengine's INTERVAL, which aligns windows with 1970 as the port wants it and leaves
// empty ones out. What cumulative metrics grew by is in steps.ts: how it is defined (port.ts) no single statement can say.
import type { Metric } from '../../../schemas/metrics.ts'
import type { Aggregate, AggregateQuery, AggregateWindow, MetricAggregate, SeqCount } from '../port.ts'
import { metricColumn, stateOf } from './layout.ts'
import { countLanes, lanesOf } from './seqs.ts'
import { chunksOf, decodeText, subTable, tableIn, TABLES_PER_STATEMENT, textLiteral, timeOf, where } from './sql.ts'
import { movedTables, type StepsPlace, sumSteps } from './steps.ts'
import type { Rows } from './transport.ts'

type Run = (sql: string) => Promise<Rows>

export async function aggregateTdengine(
  run: Run,
  database: string,
  metrics: readonly Metric[],
  query: AggregateQuery,
): Promise<Aggregate> {
  const { site, tenant, from, to } = query
  const ofTenant = tenant === null ? undefined : `tenant_id = ${textLiteral(tenant)}`
  const atSite = `site_id = ${textLiteral(site)}`
  const places = await run(
    `SELECT sensor_id,tenant_id,present FROM ${stateOf(database)}.places${where(atSite, ofTenant)}`,
  )
  const sensors = places.map(([sensor, owner]) => ({ sensor: String(sensor), owner: String(owner) }))
  if (sensors.length === 0 || from >= to)
    return { sensors: sensors.length, windows: [], seqs: { present: 0, expected: 0 } }
  const rows = where(atSite, ofTenant, `ts >= ${from}`, `ts < ${to}`)
  const place: StepsPlace = { run, database, query, rows }
  const tables = sensors.map(({ sensor, owner }) => subTable('r', decodeText(owner), decodeText(sensor)))
  const chosen = await chooseMetrics(place, metrics, tables)
  const windows = await readWindows(place, chosen)
  const cumulative = chosen.filter(({ kind }) => kind === 'cumulative')
  const moved = cumulative.length === 0 ? new Set<string>() : await movedTables(place, tables)
  for (const { name } of cumulative) {
    const steps = await sumSteps(place, metricColumn(name), tables, moved)
    for (const window of windows) {
      const found = window.metrics[name]
      if (found !== undefined) window.metrics[name] = { ...found, ...steps.of(window.start) }
    }
  }
  return { sensors: sensors.length, windows, seqs: await countSeqs(place) }
}

/** The metrics asked for, or those that the latest readings of the site's sensors have. */
async function chooseMetrics(
  { run, database, query }: StepsPlace,
  metrics: readonly Metric[],
  tables: readonly string[],
): Promise<readonly Metric[]> {
  const { metrics: asked } = query
  if (asked !== null) return metrics.filter(({ name }) => asked.includes(name))
  const present = new Set<Metric>()
  const columns = metrics.map(({ name }) => `last_row(${metricColumn(name)})`).join(',')
  for (const part of chunksOf(tables, TABLES_PER_STATEMENT)) {
    const latest = await run(
      `SELECT tbname,${columns} FROM ${database}.readings WHERE ${tableIn(part)} PARTITION BY tbname`,
    )
    for (const [, ...values] of latest) metrics.forEach((metric, i) => values[i] !== null && present.add(metric))
  }
  return metrics.filter((metric) => present.has(metric))
}

interface OpenWindow extends AggregateWindow {
  readonly metrics: Record<string, MetricAggregate>
}

async function readWindows(
  { run, database, query, rows }: StepsPlace,
  metrics: readonly Metric[],
): Promise<OpenWindow[]> {
  const columns = metrics.map(({ name }) => {
    const column = metricColumn(name)
    return `,count(${column}),min(${column}),max(${column}),sum(${column})`
  })
  const answer = await run(
    `SELECT _wstart,count(*)${columns.join('')} FROM ${database}.readings${rows} INTERVAL(${query.windowMs}a) ORDER BY _wstart`,
  )
  return answer.map(([start, readings, ...cells]) => {
    const found: Record<string, MetricAggregate> = {}
    metrics.forEach(({ name }, i) => {
      const [count, min, max, sum] = cells.slice(i * 4, i * 4 + 4).map(Number)
      // The rounding of the division may lead out of [min, max] by a last digit: 3 × 0.1 / 3 > 0.1.
      if (count > 0) found[name] = { count, min, max, avg: Math.min(max, Math.max(min, sum / count)), sum }
    })
    return { start: timeOf(start), count: Number(readings), metrics: found }
  })
}

/** Epoch 0 numbers nothing. */
async function countSeqs({ run, database, rows }: StepsPlace): Promise<SeqCount> {
  const lanes = await run(
    `SELECT tbname,epoch,count(*),min(seq),max(seq) FROM ${database}.readings${rows} AND epoch <> 0 GROUP BY tbname,epoch`,
  )
  return countLanes(run, database, lanesOf(lanes))
}
