// The query API process: reads the store, says how fresh it is.
import { setTimeout as delay } from 'node:timers/promises'
import { systemClock } from '../platform/clock.ts'
import { type Config, loadConfig } from '../platform/config.ts'
import { messageOf } from '../platform/errors.ts'
import { Health, type CheckResult } from '../platform/health.ts'
import { listen } from '../platform/http.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { runMain } from '../platform/lifecycle.ts'
import { createLog, type Logger } from '../platform/log.ts'
import { announce } from '../platform/membership/announcer.ts'
import { Cluster } from '../platform/membership/cluster.ts'
import { createMetrics } from '../platform/metrics.ts'
import { openStore } from '../platform/store/open.ts'
import type { Store } from '../platform/store/port.ts'
import { cachedSchemas } from '../platform/codec/register.ts'
import { createQueryApp } from './app.ts'
import { configurationOf } from './configuration.ts'
import { dataThrough } from './core/freshness.ts'
import { QueryMetrics } from './query-metrics.ts'
import { addClusterRoutes } from './routes/cluster.ts'
import { addConfigRoutes } from './routes/config.ts'
import { READING_TOPICS } from './routes/sensors.ts'

const PROBE_EVERY_MS = 1_000

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('query-api', config.LOG_LEVEL)
  const registry = createMetrics('query-api')
  const metrics = new QueryMetrics(registry)
  const store = openStore(config, 'read')
  const health = new Health()
  let probed: CheckResult = { ready: false, detail: 'the store has not been read yet' }
  health.add('store', () => probed)
  const app = createQueryApp(
    { health, metrics: registry, log, token: config.API_TOKEN },
    { store, metrics, boundMs: config.QUERY_STALENESS_MS, now: Date.now },
  )
  // Of Kafka only the cluster's state is known here, in the background: the store is served without a broker as well.
  const kafka = connectKafka(config, log)
  const cluster = clusterOf(config, kafka, log, signal)
  addClusterRoutes(app, { cluster, metrics, boundMs: config.QUERY_STALENESS_MS, now: Date.now })
  const configuration = configurationOf(config, kafka, log, registry, signal)
  addConfigRoutes(app, {
    ...configuration,
    metrics,
    isRead: () => configuration.follower.isCaughtUp && cluster.stalenessMs !== null,
    members: () => cluster.applying(config.HEARTBEAT_TIMEOUT_MS),
    signal,
  })
  const announcer = announce({ config, kind: 'query-api', kafka, clock: systemClock, log })
  const { port, close } = await listen(app, config.LISTEN_HOST, config.QUERY_API_PORT, log)
  log.info({ port }, 'query API ready')
  while (!signal.aborted) {
    probed = await probe(store, metrics)
    await delay(PROBE_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
  await close()
  await store.close()
  await announcer.stop()
})

function clusterOf(config: Config, kafka: Kafka, log: Logger, signal: AbortSignal): Cluster {
  const fetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
  return new Cluster({ kafka, clock: systemClock, random: Math.random, log, fetchSchema }, signal)
}

/** Ready means that the store can be read. A stale store is no reason to be taken out: a client may accept it. */
async function probe(store: Store, metrics: QueryMetrics): Promise<CheckResult> {
  try {
    const through = dataThrough(await store.read((view) => view.progress()), READING_TOPICS)
    const stalenessMs = through === null ? null : Math.max(0, Date.now() - through)
    metrics.staleness(stalenessMs)
    return { ready: true, detail: stalenessMs === null ? 'staleness not known yet' : `${stalenessMs} ms stale` }
  } catch (error) {
    metrics.staleness(null)
    return { ready: false, detail: messageOf(error) }
  }
}
