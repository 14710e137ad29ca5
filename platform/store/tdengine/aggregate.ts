// Windowed aggregates of a site by TDengine's INTERVAL, which aligns windows with 1970 as the port wants it and leaves
// empty ones out. Growth of cumulative metrics is summed here from the first and last values per sensor and window,
// for a bounded number of sensors at a time: how it is defined (port.ts) no single statement can say.
import type { Metric } from '../../../schemas/metrics.ts'
import type { Aggregate, AggregateQuery, AggregateWindow, MetricAggregate, SeqCount } from '../port.ts'
import { metricColumn } from './schema.ts'
import { chunksOf, decodeText, subTable, tableIn, TABLES_PER_STATEMENT, textLiteral, timeOf, where } from './sql.ts'
import type { Rows } from './transport.ts'

type Run = (sql: string) => Promise<Rows>

/** Sensor-windows in one answer: some 10 MB. */
const CELLS_PER_STATEMENT = 100_000

interface Place {
  readonly run: Run
  readonly database: string
  readonly query: AggregateQuery
  /** Conditions of the site's rows within the range. */
  readonly rows: string
}

export async function aggregateTdengine(
  run: Run,
  database: string,
  metrics: readonly Metric[],
  query: AggregateQuery,
): Promise<Aggregate> {
  const { site, tenant, from, to } = query
  const ofTenant = tenant === null ? undefined : `tenant_id = ${textLiteral(tenant)}`
  const atSite = `site_id = ${textLiteral(site)}`
  const places = await run(`SELECT sensor_id,tenant_id,present FROM ${database}.places${where(atSite, ofTenant)}`)
  const sensors = places.map(([sensor, owner]) => ({ sensor: String(sensor), owner: String(owner) }))
  if (sensors.length === 0 || from >= to)
    return { sensors: sensors.length, windows: [], seqs: { present: 0, expected: 0 } }
  const rows = where(atSite, ofTenant, `ts >= ${from}`, `ts < ${to}`)
  const place: Place = { run, database, query, rows }
  const tables = sensors.map(({ sensor, owner }) => subTable('r', decodeText(owner), decodeText(sensor)))
  const chosen = await chooseMetrics(place, metrics, tables)
  const windows = await readWindows(place, chosen)
  for (const { name } of chosen.filter(({ kind }) => kind === 'cumulative')) {
    const increases = await sumGrowth(place, metricColumn(name), tables)
    for (const window of windows) {
      const found = window.metrics[name]
      if (found !== undefined) window.metrics[name] = { ...found, increase: increases.get(window.start) ?? 0 }
    }
  }
  return { sensors: sensors.length, windows, seqs: await countSeqs(place) }
}

/** The metrics asked for, or those that the latest readings of the site's sensors have. */
async function chooseMetrics(
  { run, database, query }: Place,
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

async function readWindows({ run, database, query, rows }: Place, metrics: readonly Metric[]): Promise<OpenWindow[]> {
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

/** First and last value of a metric in one window of one sensor. */
interface Ends {
  readonly start: number
  readonly first: number
  readonly last: number
}

/** Growth per window, by its start, as port.ts defines it. */
async function sumGrowth(
  { run, database, query, rows }: Place,
  column: string,
  tables: readonly string[],
): Promise<Map<number, number>> {
  const { from, to, windowMs, site } = query
  const range = `ts >= ${from} AND ts < ${to}`
  const increases = new Map<number, number>()
  const select = (conditions: string): Promise<Rows> =>
    run(
      `SELECT _wstart,tbname,first(${column}),last(${column}) FROM ${database}.readings${conditions} PARTITION BY tbname INTERVAL(${windowMs}a)`,
    )
  const perStatement = Math.floor(CELLS_PER_STATEMENT / Math.ceil((to - from) / windowMs + 1))
  for (const part of chunksOf(tables, Math.min(TABLES_PER_STATEMENT, Math.max(1, perStatement)))) {
    const within = tableIn(part)
    const own = endsByTable(await select(`${rows} AND ${within}`))
    if (own.size === 0) continue
    const before = await run(
      `SELECT tbname,last(${column}) FROM ${database}.readings WHERE ${within} AND ts < ${from} PARTITION BY tbname`,
    )
    const bases = new Map(before.map(([table, last]) => [String(table), last === null ? null : Number(last)]))
    // What a sensor did elsewhere meanwhile counts as what was before: only for sensors that moved is it asked for.
    const moved = await movedTables({ run, database }, within, range, site)
    const anywhere =
      moved.length === 0
        ? new Map<string, Ends[]>()
        : endsByTable(await select(` WHERE ${tableIn(moved)} AND ${range}`))
    for (const [table, ends] of own)
      for (const [start, growth] of growths(ends, anywhere.get(table) ?? ends, bases.get(table) ?? null))
        increases.set(start, (increases.get(start) ?? 0) + growth)
  }
  return increases
}

async function movedTables(
  { run, database }: Pick<Place, 'run' | 'database'>,
  within: string,
  range: string,
  site: string,
): Promise<string[]> {
  const elsewhere = await run(
    `SELECT tbname,count(*) FROM ${database}.readings WHERE ${within} AND ${range} AND site_id <> ${textLiteral(site)} GROUP BY tbname`,
  )
  return elsewhere.map(([table]) => String(table))
}

function endsByTable(rows: Rows): Map<string, Ends[]> {
  const byTable = new Map<string, Ends[]>()
  for (const [start, table, first, last] of rows) {
    if (first === null || last === null) continue
    const ends = byTable.get(String(table)) ?? []
    if (ends.length === 0) byTable.set(String(table), ends)
    ends.push({ start: timeOf(start), first: Number(first), last: Number(last) })
  }
  for (const ends of byTable.values()) ends.sort((a, b) => a.start - b.start)
  return byTable
}

/** @param anywhere windows of the same sensor at whatever site; @param base its last value before the range */
function* growths(own: readonly Ends[], anywhere: readonly Ends[], base: number | null): Generator<[number, number]> {
  let before = base
  let next = 0
  for (const { start, first, last } of own) {
    for (; next < anywhere.length && anywhere[next].start < start; next += 1) before = anywhere[next].last
    yield [start, Math.max(0, last - (before ?? first))]
  }
}

/** Sums over (sensor, epoch) what is there and what first to last seq promise. Epoch 0 numbers nothing. */
async function countSeqs({ run, database, rows }: Place): Promise<SeqCount> {
  const lanes = await run(
    `SELECT tbname,epoch,count(*),min(seq),max(seq) FROM ${database}.readings${rows} AND epoch <> 0 GROUP BY tbname,epoch`,
  )
  let present = 0
  let expected = 0
  for (const [, , count, low, high] of lanes) {
    present += Number(count)
    expected += Number(high) - Number(low) + 1
  }
  return { present, expected }
}
