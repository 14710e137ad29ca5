// The query API as an Express application: the one list of its routes, from which the home page is made as well.
import type { Express } from 'express'
import { createApp, type AppOptions } from '../platform/http.ts'
import { anomalyRoutes } from './routes/anomalies.ts'
import { type ClusterRouteOptions, clusterRoutes } from './routes/cluster.ts'
import { type ConfigRouteOptions, configRoutes } from './routes/config.ts'
import { homeRoute, statusRoutes } from './routes/home.ts'
import { register, type Route } from './routes/route.ts'
import { sensorRoutes } from './routes/sensors.ts'
import { siteRoutes } from './routes/sites.ts'
import type { StoreRouteOptions } from './routes/store-route.ts'

export interface QueryAppOptions {
  readonly store: StoreRouteOptions
  readonly cluster: ClusterRouteOptions
  readonly config: ConfigRouteOptions
}

export function createQueryApp(http: AppOptions, { store, cluster, config }: QueryAppOptions): Express {
  const routes: Route[] = [
    ...sensorRoutes(store),
    ...siteRoutes(store),
    ...anomalyRoutes(store),
    ...statusRoutes(store),
    ...clusterRoutes(cluster),
    ...configRoutes(config),
  ]
  const app = createApp(http)
  register(app, [homeRoute(store.reader, routes), ...routes])
  return app
}
