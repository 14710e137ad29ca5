// GET /sensors and GET /sensors/{id}/recent.
import type { RequestHandler } from 'express'
import { InputError } from '../../platform/errors.ts'
import type { SensorRef, StoreView } from '../../platform/store/port.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { countSeqs } from '../core/freshness.ts'
import { cursorOf, type Params, parseParams } from '../core/params.ts'
import { answer, NotFound, type Surroundings } from './answer.ts'

/** Readings come by both. */
export const READING_TOPICS = [CLEAN, LATE]

/** A page of sensors in order of (tenant, sensor); `next` is the `after` of the following page, null at the end. */
export const sensorsRoute = (surroundings: Surroundings): RequestHandler =>
  answer<Params<'sensors'>>(surroundings, {
    name: '/sensors',
    topics: READING_TOPICS,
    parse: (request) => parseParams('sensors', request.query),
    find: async (view, { site, tenant, after, limit }) => {
      // One more than asked for tells whether there is a next page.
      const found = await view.sensors({ site, tenant, after, limit: limit + 1 })
      const page = found.slice(0, limit)
      const sensors = page.map(({ tenant, sensor, site, node, count, lastTs }) => ({
        tenant,
        sensor,
        site,
        node,
        count,
        last_ts: lastTs,
      }))
      const next = found.length > limit ? cursorOf(page[page.length - 1]) : null
      return { body: { sensors, next }, seqs: await view.seqCount(page) }
    },
  })

/** A sensor's latest readings, newest first. */
export const recentRoute = (surroundings: Surroundings): RequestHandler =>
  answer<Params<'recent'>>(surroundings, {
    name: '/sensors/{id}/recent',
    topics: READING_TOPICS,
    parse: (request) => parseParams('recent', { ...request.query, id: request.params.id }),
    find: async (view, { id, tenant, limit }) => {
      const at = await resolveSensor(view, id, tenant)
      const rows = await view.recent(at, limit)
      if (rows === null) throw unknownSensor(id, tenant)
      const readings = rows.map(({ ts, metrics, epoch, seq, site, node, tags, arrivalMs, version }) => ({
        ts,
        ...metrics,
        epoch,
        seq,
        site,
        node,
        tags,
        arrival: arrivalMs,
        corrected: version > 0,
      }))
      return { body: { ...at, readings }, seqs: countSeqs(rows) }
    },
  })

/** A sensor's name is unique within its tenant only. */
async function resolveSensor(view: StoreView, sensor: string, tenant: string | undefined): Promise<SensorRef> {
  if (tenant !== undefined) return { tenant, sensor }
  const tenants = await view.tenantsOf(sensor, 2)
  if (tenants.length === 0) throw unknownSensor(sensor, tenant)
  if (tenants.length > 1)
    throw new InputError('PARAMETER', 'tenant', 'tenant: several tenants have a sensor of this name, say which one')
  return { tenant: tenants[0], sensor }
}

const unknownSensor = (sensor: string, tenant: string | undefined): NotFound =>
  new NotFound(
    `there is no sensor ${JSON.stringify(sensor)}${tenant === undefined ? '' : ` of tenant ${JSON.stringify(tenant)}`}`,
  )
