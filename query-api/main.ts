// The query API process: reads the store, says how fresh it is.
import { availableParallelism } from 'node:os'
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
import { cachedSchemas } from '../platform/codec/register.ts'
import { createQueryApp } from './app.ts'
import { configurationOf } from './configuration.ts'
import { dataThrough, describeFreshness } from './core/freshness.ts'
import { QueryMetrics } from './query-metrics.ts'
import { ReadPool } from './reads/pool.ts'
import type { StoreReader } from './reads/store-reader.ts'

const PROBE_EVERY_MS = 1_000
const PROBE_DEADLINE_MS = 5_000
/** More do not help: SQLite's readers share the disk and the page cache of the system. */
const WORKERS_MAX = 4
/** Some seconds of work; a client that waits longer has given up. */
const WAITING_MAX = { quick: 256, heavy: 32 }

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('query-api', config.LOG_LEVEL)
  const registry = createMetrics('query-api')
  const metrics = new QueryMetrics(registry)
  const workers = Math.max(2, Math.min(WORKERS_MAX, availableParallelism()))
  const reader = new ReadPool({ store: config, workers, waitingMax: WAITING_MAX, log })
  const health = new Health()
  let probed: CheckResult = { ready: false, detail: 'the store has not been read yet' }
  health.add('store', () => probed)
  // Of Kafka only the cluster's state is known here, in the background: the store is served without a broker as well.
  const kafka = connectKafka(config, log)
  const cluster = clusterOf(config, kafka, log, signal)
  const configuration = configurationOf(config, kafka, log, registry, signal)
  const answers = { metrics, boundMs: config.QUERY_STALENESS_MS, now: Date.now }
  const app = createQueryApp(
    { health, metrics: registry, log, token: config.API_TOKEN },
    {
      store: { ...answers, reader },
      cluster: { ...answers, cluster },
      config: {
        ...configuration,
        metrics,
        isRead: () => configuration.follower.isCaughtUp && cluster.stalenessMs !== null,
        members: () => cluster.applying(config.HEARTBEAT_TIMEOUT_MS),
        signal,
      },
    },
  )
  const announcer = announce({ config, kind: 'query-api', kafka, clock: systemClock, log })
  const { port, close } = await listen(app, config.LISTEN_HOST, config.QUERY_API_PORT, log)
  log.info({ port }, 'query API ready')
  while (!signal.aborted) {
    probed = await probe(reader, metrics, config.QUERY_STALENESS_MS)
    await delay(PROBE_EVERY_MS, undefined, { signal }).catch(() => undefined)
  }
  await close()
  await reader.close()
  await announcer.stop()
})

function clusterOf(config: Config, kafka: Kafka, log: Logger, signal: AbortSignal): Cluster {
  const fetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
  return new Cluster({ kafka, clock: systemClock, random: Math.random, log, fetchSchema }, signal)
}

/** Ready means that the store can be read. A stale store is no reason to be taken out: a client may accept it. */
async function probe(reader: StoreReader, metrics: QueryMetrics, boundMs: number): Promise<CheckResult> {
  try {
    const { partitions } = await reader.read('progress', {}, AbortSignal.timeout(PROBE_DEADLINE_MS))
    const now = Date.now()
    const through = dataThrough(partitions)
    const stalenessMs = through === null ? null : Math.max(0, now - through)
    metrics.staleness(stalenessMs)
    return { ready: true, detail: describeFreshness(partitions, now, boundMs) }
  } catch (error) {
    metrics.staleness(null)
    return { ready: false, detail: messageOf(error) }
  }
}
