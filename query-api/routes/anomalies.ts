// GET /anomalies: scores that crossed their threshold, newest first.
import { checkRange, parseParams } from '../core/params.ts'
import { type Route, route } from './route.ts'
import { answerFromStore, type StoreRouteOptions } from './store-route.ts'

export const anomalyRoutes = (options: StoreRouteOptions): Route[] => [
  route(
    'GET',
    '/anomalies',
    'scores that crossed their threshold, newest first',
    'anomalies',
    answerFromStore(options, '/anomalies', 'anomalies', ({ query }) => {
      const params = parseParams('anomalies', query)
      checkRange(params)
      return params
    }),
  ),
]
