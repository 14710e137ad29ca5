// Windowed aggregates of a site. Every window is cut into pieces (rollup-plan.ts) that rollups or rows answer (sums.ts).
// There are two ways to read them. Window by window, one statement per piece reads one primary-key range per sensor and
// needs no sort. That is sensors × windows look-ups, nearly all of them in vain where many sensors report seldom; beyond
// a bound the pieces of all windows are therefore read together, some sensors at a time, and sorted by window. Between
// statements the event loop turns. Coverage by seq is in seqs.ts.
import type { DatabaseSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { Breather } from '../breather.ts'
import type { Aggregate, AggregateQuery, AggregateWindow } from '../port.ts'
import { type Horizons, type Piece, planRange } from '../rollup-plan.ts'
import { metricColumn } from './migrations.ts'
import { readHorizons } from './rollup-statements.ts'
import { countSeqs } from './seqs.ts'
import { findSite, SENSORS, type Site } from './site.ts'
import { type Sums, SumReader } from './sums.ts'

/** Look-ups, some 3 µs each, beyond which windows are read together. */
const LOOKUPS_MAX = 100_000
/** Sensors whose rows are sorted at once: some 50 ms. */
const SENSORS_AT_ONCE = 500

export async function aggregateSite(
  db: DatabaseSync,
  metrics: readonly Metric[],
  query: AggregateQuery,
): Promise<Aggregate> {
  const { windowMs, from, to } = query
  const horizons = readHorizons(db)
  const site = findSite(db, query)
  if (site === null) return { sensors: 0, windows: [], seqs: { present: 0, expected: 0 } }
  const breather = new Breather()
  const sums = new SumReader(db, chooseMetrics(db, metrics, query, site), site)
  const plan = planWindows(query, horizons)
  const isMany = plan.length * site.sensors.length > LOOKUPS_MAX
  const windows = await (isMany ? readTogether : readEach)(sums, plan, site, windowMs, breather)
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

interface PlannedWindow {
  readonly start: number
  readonly pieces: readonly Piece[]
}

function planWindows({ windowMs, from, to }: AggregateQuery, horizons: Horizons): PlannedWindow[] {
  const plan: PlannedWindow[] = []
  for (let start = Math.floor(from / windowMs) * windowMs; start < to; start += windowMs)
    plan.push({ start, pieces: planRange(Math.max(from, start), Math.min(to, start + windowMs), horizons) })
  return plan
}

async function readEach(
  sums: SumReader,
  plan: readonly PlannedWindow[],
  _site: Site,
  _windowMs: number,
  breather: Breather,
): Promise<AggregateWindow[]> {
  const windows: AggregateWindow[] = []
  for (const { start, pieces } of plan) {
    await breather.pause()
    const window = sums.read(pieces)
    if (window.count > 0) windows.push({ start, ...window })
  }
  return windows
}

async function readTogether(
  sums: SumReader,
  plan: readonly PlannedWindow[],
  { sensors }: Site,
  windowMs: number,
  breather: Breather,
): Promise<AggregateWindow[]> {
  const pieces = joinPieces(plan.flatMap((window) => window.pieces))
  const ids = sensors.map(({ id }) => id).sort((a, b) => a - b)
  const found = new Map<number, Sums>()
  for (let first = 0; first < ids.length; first += SENSORS_AT_ONCE) {
    const last = Math.min(first + SENSORS_AT_ONCE, ids.length) - 1
    for (const piece of pieces) {
      await breather.pause()
      sums.readInto(found, piece, windowMs, ids[first], ids[last])
    }
  }
  return [...found].sort(([a], [b]) => a - b).map(([start, window]) => ({ start, ...sums.resultOf(window) }))
}

/** Pieces next to each other of one level as one: no piece goes beyond its window, so a bucket still tells the window. */
function joinPieces(pieces: readonly Piece[]): Piece[] {
  const joined: Piece[] = []
  for (const piece of pieces) {
    const last = joined.at(-1)
    if (last !== undefined && last.level === piece.level && last.to === piece.from)
      joined[joined.length - 1] = { ...last, to: piece.to }
    else joined.push(piece)
  }
  return joined
}
