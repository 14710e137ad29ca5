// GET /cluster and GET /cluster/views: who belongs to the cluster, as its leader has published it, with what is known of
// each member. Answered from memory, to which the topics are followed; how long ago all of them had been read is the
// answer's staleness, held to the same bound as that of every other answer.
import type { Express, Request, RequestHandler, Response } from 'express'
import { sendProblem } from '../../platform/http.ts'
import type { Cluster } from '../../platform/membership/cluster.ts'
import { cacheHeaders, judge } from '../core/freshness.ts'
import { type Params, parseParams } from '../core/params.ts'
import type { QueryMetrics } from '../query-metrics.ts'

/** Following begins again within seconds of the broker's return. */
const RETRY_AFTER_S = '2'

export interface ClusterSurroundings {
  readonly cluster: Cluster
  readonly metrics: QueryMetrics
  /** Staleness bound unless the client asks for another, ms. */
  readonly boundMs: number
  readonly now: () => number
}

export function addClusterRoutes(app: Express, surroundings: ClusterSurroundings): void {
  const { cluster } = surroundings
  app.get(
    '/cluster',
    answer<Params<'cluster'>>(surroundings, {
      name: '/cluster',
      parse: ({ query }) => parseParams('cluster', query),
      // Null: no leader has published one yet.
      find: () => ({ view: cluster.current() }),
    }),
  )
  app.get(
    '/cluster/views',
    answer<Params<'views'>>(surroundings, {
      name: '/cluster/views',
      parse: ({ query }) => parseParams('views', query),
      find: ({ limit }) => ({ views: cluster.earlier(limit) }),
    }),
  )
}

interface Route<P> {
  readonly name: string
  readonly parse: (request: Request) => P & { readonly max_staleness?: number | undefined }
  readonly find: (params: P) => object
}

function answer<P>({ cluster, metrics, boundMs, now }: ClusterSurroundings, route: Route<P>): RequestHandler {
  return (request, response) => {
    const done = metrics.begin(route.name)
    response.once('finish', () => done(response.statusCode))
    response.set('Cache-Control', 'no-store')
    const params = route.parse(request)
    const bound = params.max_staleness ?? boundMs
    const { stalenessMs } = cluster
    const asOf = now()
    // By members there is nothing to count: completeness is not known.
    const verdict = judge(asOf, stalenessMs === null ? null : Math.round(asOf - stalenessMs), null, bound)
    if (!verdict.fresh) return sendStale(response, verdict.stalenessMs, bound)
    const { age, cacheControl } = cacheHeaders(verdict.freshness.staleness_ms, bound)
    response.set({ Age: age, 'Cache-Control': cacheControl }).json({ ...verdict.freshness, ...route.find(params) })
  }
}

function sendStale(response: Response, stalenessMs: number | null, boundMs: number): void {
  response.set('Retry-After', RETRY_AFTER_S)
  const detail =
    stalenessMs === null
      ? 'the state of the cluster has not been read yet: the broker or the schema registry may be away; try again'
      : `the state of the cluster was read ${stalenessMs} ms ago, the bound is ${boundMs} ms: try again, or accept more with max_staleness`
  sendProblem(response, {
    status: 503,
    title: 'Service Unavailable',
    detail,
    code: stalenessMs === null ? 'NOT_READ' : 'STALE',
    staleness_ms: stalenessMs,
    max_staleness_ms: boundMs,
  })
}
