// GET /cluster and GET /cluster/views: who belongs to the cluster, as its leader has published it, with what is known of
// each member. Answered from memory, which follows the topics; how long ago all of them had been read is the answer's
// staleness, held to the same bound as that of every other answer.
import type { Cluster } from '../../platform/membership/cluster.ts'
import { parseParams } from '../core/params.ts'
import { answer, type AnswerOptions, type Found, type Source } from './answer.ts'
import { type Route, route } from './route.ts'

export interface ClusterRouteOptions extends AnswerOptions {
  readonly cluster: Pick<Cluster, 'stalenessMs' | 'current' | 'earlier'>
}

const CLUSTER: Source = {
  // Following continues within seconds of the broker's return.
  retryAfterS: '2',
  unknown: {
    code: 'NOT_READ',
    detail: 'the state of the cluster has not been read yet, since the broker or the schema registry may be down',
  },
  late: (stalenessMs) => `the state of the cluster was read ${stalenessMs} ms ago`,
}

export function clusterRoutes(options: ClusterRouteOptions): Route[] {
  const { cluster, now } = options
  const found = (body: Readonly<Record<string, unknown>>): Found => {
    const { stalenessMs } = cluster
    // Members are not numbered: nothing can be said of completeness.
    const throughMs = stalenessMs === null ? null : Math.round(now() - stalenessMs)
    return { kind: 'found', body, completeness: null, throughMs }
  }
  return [
    route(
      'GET',
      '/cluster',
      'the members of the cluster and the version of the configuration that each has applied',
      'cluster',
      answer(options, {
        name: '/cluster',
        source: CLUSTER,
        parse: ({ query }) => parseParams('cluster', query),
        // Null: no leader has published one yet.
        find: () => found({ view: cluster.current() }),
      }),
    ),
    route(
      'GET',
      '/cluster/views',
      'earlier membership views, newest first',
      'views',
      answer(options, {
        name: '/cluster/views',
        source: CLUSTER,
        parse: ({ query }) => parseParams('views', query),
        find: ({ limit }) => found({ views: cluster.earlier(limit) }),
      }),
    ),
  ]
}
