// GET /sensors and a sensor's latest readings. Its id is part of the path; where a path cannot carry it (clients remove
// "." and ".." before they send a request), it is asked for by ?id= instead.
import { identifierOf, parseParams } from '../core/params.ts'
import { type Route, route } from './route.ts'
import { answerFromStore, type StoreRouteOptions } from './store-route.ts'

export function sensorRoutes(options: StoreRouteOptions): Route[] {
  return [
    route(
      'GET',
      '/sensors',
      'sensors in order of tenant and id, in pages',
      'sensors',
      answerFromStore(options, '/sensors', 'sensors', ({ query }) => parseParams('sensors', query)),
    ),
    route(
      'GET',
      '/sensors/{id}/recent',
      'a sensor’s latest readings, newest first',
      'recent',
      answerFromStore(options, '/sensors/{id}/recent', 'recent', ({ query, params }) => ({
        ...parseParams('recent', query),
        id: identifierOf('id', params.id),
      })),
    ),
    route(
      'GET',
      '/sensors/recent',
      'the same, for an id that a path cannot carry: "." and ".."',
      'recentById',
      answerFromStore(options, '/sensors/recent', 'recent', ({ query }) => parseParams('recentById', query)),
    ),
  ]
}
