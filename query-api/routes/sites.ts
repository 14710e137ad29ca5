// Windowed aggregates over a site's sensors. The site is part of the path, or ?site= where a path cannot carry it.
import { aggregateRange, identifierOf, type Params, parseParams } from '../core/params.ts'
import { type Route, route } from './route.ts'
import { answerFromStore, type StoreRouteOptions } from './store-route.ts'

export function siteRoutes(options: StoreRouteOptions): Route[] {
  const ranged = <P extends Params<'aggregate'>>(params: P, nowMs: number) => ({
    ...params,
    ...aggregateRange(params, nowMs),
  })
  return [
    route(
      'GET',
      '/sites/{site}/agg',
      'aggregates of a site’s sensors by windows of event time',
      'aggregate',
      answerFromStore(options, '/sites/{site}/agg', 'aggregate', ({ query, params }, nowMs) => ({
        ...ranged(parseParams('aggregate', query), nowMs),
        site: identifierOf('site', params.site),
      })),
    ),
    route(
      'GET',
      '/sites/agg',
      'the same, for a site that a path cannot carry: "." and ".."',
      'aggregateBySite',
      answerFromStore(options, '/sites/agg', 'aggregate', ({ query }, nowMs) =>
        ranged(parseParams('aggregateBySite', query), nowMs),
      ),
    ),
  ]
}
