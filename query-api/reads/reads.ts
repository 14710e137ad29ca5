// Every question that the API puts to the store, by name: what is to be read, of which topics and sensors it is made.
// They run in worker threads (worker.ts), so what they take and give can be copied from one thread to another.
import { InputError } from '../../platform/errors.ts'
import type { AggregateQuery, SensorRef, StoreView } from '../../platform/store/port.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { ANOMALIES, CLEAN, LATE } from '../../schemas/topics.ts'
import { cursorOf } from '../core/cursor.ts'
import { brokenInvariant } from '../core/invariants.ts'
import type { Params } from '../core/params.ts'
import type { Finding } from './finding.ts'
import { ReadError } from './messages.ts'

/** Readings come by both. */
const READING_TOPICS = [CLEAN, LATE]
const NOT_NUMBERED = { present: 0, expected: 0 }

export const READS = { sensors, recent, aggregate, anomalies, totals, progress } as const
export type Reads = typeof READS
export type ReadName = keyof Reads
export type ReadParams<N extends ReadName> = Parameters<Reads[N]>[1]

/** A page of sensors in order of (tenant, sensor); `next` is the `after` of the following page, null at the end. */
async function sensors(
  view: StoreView,
  { id, site, tenant, after, limit }: Omit<Params<'sensors'>, 'max_staleness'>,
): Promise<Finding> {
  // One more than asked for tells whether there is a next page.
  const found = await view.sensors({ sensor: id, site, tenant, after, limit: limit + 1 })
  const page = found.slice(0, limit)
  const shown = page.map(({ tenant, sensor, site, node, count, lastTs }) => ({
    tenant,
    sensor,
    site,
    node,
    count,
    last_ts: lastTs,
  }))
  const next = found.length > limit ? cursorOf(page[page.length - 1]) : null
  const seqs = await view.seqCount(page)
  const sensor = id === undefined || tenant === undefined ? null : { tenant, sensor: id }
  return { kind: 'found', topics: READING_TOPICS, sensor, body: { sensors: shown, next }, seqs }
}

/** A sensor's latest readings, newest first. */
async function recent(
  view: StoreView,
  { id, tenant, limit }: Pick<Params<'recent'>, 'tenant' | 'limit'> & { id: string },
): Promise<Finding> {
  const at = await resolveSensor(view, id, tenant)
  const rows = at === null ? null : await view.recent(at, limit)
  if (at === null || rows === null) {
    const sensor = tenant === undefined ? null : { tenant, sensor: id }
    const of = tenant === undefined ? '' : ` of tenant ${JSON.stringify(tenant)}`
    return { kind: 'absent', topics: READING_TOPICS, sensor, detail: `there is no sensor ${JSON.stringify(id)}${of}` }
  }
  const readings = rows.map(({ ts, metrics, epoch, seq, site, node, tags, arrivalMs, corrected }) => ({
    ts,
    ...metrics,
    epoch,
    seq,
    site,
    node,
    tags,
    arrival: arrivalMs,
    corrected,
  }))
  const seqs = await view.seqCountWithin(at, rows[rows.length - 1].ts, rows[0].ts + 1)
  return { kind: 'found', topics: READING_TOPICS, sensor: at, body: { ...at, readings }, seqs }
}

/** A sensor's name is unique within its tenant only. */
async function resolveSensor(view: StoreView, sensor: string, tenant: string | undefined): Promise<SensorRef | null> {
  if (tenant !== undefined) return { tenant, sensor }
  const tenants = await view.tenantsOf(sensor, 2)
  if (tenants.length > 1) throw needsTenant('a sensor')
  return tenants.length === 0 ? null : { tenant: tenants[0], sensor }
}

/** The tenants are not named: who may ask for one need not know of the others. */
const needsTenant = (what: string): InputError =>
  new InputError('PARAMETER', 'tenant', `tenant is missing: several tenants have ${what} of this name`)

/** Windowed aggregates over a site's sensors. */
async function aggregate(
  view: StoreView,
  query: Pick<Params<'aggregate'>, 'tenant' | 'window' | 'metric'> & { site: string; from: number; to: number },
): Promise<Finding> {
  const { site, tenant = null, window: windowMs, from, to, metric = null } = query
  // Sums over several tenants would show one the readings of another.
  if (tenant === null && (await view.tenantsAt(site, 2)).length > 1) throw needsTenant('a site')
  const found = await possibleAggregate(view, { site, tenant, windowMs, from, to, metrics: metric })
  if (found.sensors === 0) {
    const of = tenant === null ? '' : ` of tenant ${JSON.stringify(tenant)}`
    const detail = `there is no site ${JSON.stringify(site)}${of}`
    return { kind: 'absent', topics: READING_TOPICS, sensor: null, detail }
  }
  return {
    kind: 'found',
    topics: READING_TOPICS,
    sensor: null,
    body: { site, sensors: found.sensors, window_ms: windowMs, from, to, windows: found.windows },
    seqs: found.seqs,
  }
}

/** Computed twice if need be; an aggregate that cannot be is refused. */
async function possibleAggregate(view: StoreView, query: AggregateQuery): ReturnType<StoreView['aggregate']> {
  const first = await view.aggregate(query)
  if (brokenInvariant(first.windows, METRICS) === null) return first
  const second = await view.aggregate(query)
  const broken = brokenInvariant(second.windows, METRICS)
  if (broken !== null) throw new ReadError('INVARIANT', `the aggregate breaks an invariant: ${broken}`)
  return second
}

/** Scores that crossed their threshold, newest first. */
async function anomalies(
  view: StoreView,
  { limit, ...filter }: Omit<Params<'anomalies'>, 'max_staleness'>,
): Promise<Finding> {
  const { tenant, sensor } = filter
  return {
    kind: 'found',
    topics: [ANOMALIES],
    sensor: tenant === undefined || sensor === undefined ? null : { tenant, sensor },
    body: { anomalies: await view.anomalies(filter, limit) },
    // Anomalies have no numbering of their own: nothing can be said of their completeness.
    seqs: NOT_NUMBERED,
  }
}

/** Counters for displays, without a look at the rows. */
async function totals(view: StoreView, _nothing: object): Promise<Finding> {
  return { kind: 'found', topics: READING_TOPICS, sensor: null, body: { ...(await view.totals()) }, seqs: NOT_NUMBERED }
}

/** Nothing but how far the store is. */
async function progress(_view: StoreView, _nothing: object): Promise<Finding> {
  return { kind: 'found', topics: READING_TOPICS, sensor: null, body: {}, seqs: NOT_NUMBERED }
}
