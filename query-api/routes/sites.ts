// GET /sites/{site}/agg: windowed aggregates over a site's sensors.
import type { RequestHandler } from 'express'
import { PlumblineError } from '../../platform/errors.ts'
import type { AggregateQuery, StoreView } from '../../platform/store/port.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { brokenInvariant } from '../core/invariants.ts'
import { aggregateRange, type Params, parseParams } from '../core/params.ts'
import { answer, NotFound, type Surroundings } from './answer.ts'
import { READING_TOPICS } from './sensors.ts'

type AggregateParams = Omit<Params<'aggregate'>, 'from' | 'to'> & { readonly from: number; readonly to: number }

export const aggregateRoute = (surroundings: Surroundings): RequestHandler =>
  answer<AggregateParams>(surroundings, {
    name: '/sites/{site}/agg',
    topics: READING_TOPICS,
    parse: (request, nowMs) => {
      const params = parseParams('aggregate', { ...request.query, site: request.params.site })
      return { ...params, ...aggregateRange(params, nowMs) }
    },
    find: async (view, { site, tenant = null, window: windowMs, from, to, metric = null }) => {
      const found = await possibleAggregate(view, { site, tenant, windowMs, from, to, metrics: metric })
      if (found.sensors === 0) throw new NotFound(`there is no site ${JSON.stringify(site)}`)
      return {
        body: { site, sensors: found.sensors, window_ms: windowMs, from, to, windows: found.windows },
        seqs: found.seqs,
      }
    },
  })

/** Computed twice if need be; an aggregate that cannot be is refused. */
async function possibleAggregate(view: StoreView, query: AggregateQuery): ReturnType<StoreView['aggregate']> {
  const first = await view.aggregate(query)
  if (brokenInvariant(first.windows, METRICS) === null) return first
  const second = await view.aggregate(query)
  const broken = brokenInvariant(second.windows, METRICS)
  if (broken !== null) throw new PlumblineError('INVARIANT', `the aggregate cannot be: ${broken}`)
  return second
}
