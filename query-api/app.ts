// The query API as an Express application over a store: the routes and what they share.
import type { Express } from 'express'
import { createApp, type AppOptions } from '../platform/http.ts'
import { anomaliesRoute } from './routes/anomalies.ts'
import type { Surroundings } from './routes/answer.ts'
import { homeRoute, statusRoute } from './routes/home.ts'
import { recentRoute, sensorsRoute } from './routes/sensors.ts'
import { aggregateRoute } from './routes/sites.ts'

export function createQueryApp(options: AppOptions, surroundings: Surroundings): Express {
  const app = createApp(options)
  app.get('/', homeRoute(surroundings))
  app.get('/status', statusRoute(surroundings))
  app.get('/sensors', sensorsRoute(surroundings))
  app.get('/sensors/:id/recent', recentRoute(surroundings))
  app.get('/sites/:site/agg', aggregateRoute(surroundings))
  app.get('/anomalies', anomaliesRoute(surroundings))
  return app
}
