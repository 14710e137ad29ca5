// The query API process: reads the store, says how fresh it is.
import { availableParallelism } from 'node:os'
import { messageOf } from '../platform/errors.ts'
import type { CheckResult } from '../platform/health.ts'
import { Cluster } from '../platform/membership/cluster.ts'
import { pause } from '../platform/retry.ts'
import { runService } from '../platform/service.ts'
import { createQueryApp } from './app.ts'
import { configurationOf } from './configuration.ts'
import { dataThrough, describeFreshness } from './core/freshness.ts'
import { QueryMetrics } from './query-metrics.ts'
import { ReadPool } from './reads/pool.ts'
import { SharedReads } from './reads/shared-reads.ts'
import type { StoreReader } from './reads/store-reader.ts'

/** Shorter than proxies wait, long enough for the largest range that is worth waiting for. */
const DEADLINE_MS = 20_000
const PROBE_EVERY_MS = 1_000
const PROBE_DEADLINE_MS = 5_000
/** More do not help: SQLite's readers share the disk and the page cache of the system. */
const WORKERS_MAX = 4
/** Some seconds of work; a client that waits longer has given up. */
const WAITING_MAX = { quick: 256, heavy: 32 }

runService('query-api', process.env, async (service) => {
  const { config, kafka, log, clock, random, signal, fetchSchema } = service
  const metrics = new QueryMetrics(service.metrics)
  const workers = Math.max(2, Math.min(WORKERS_MAX, availableParallelism()))
  const reader = new SharedReads(new ReadPool({ store: config, workers, waitingMax: WAITING_MAX, log }))
  service.onStop(() => reader.close())
  let probed: CheckResult = { ready: false, detail: 'the store has not been read yet' }
  service.health.add('store', () => probed)
  // Only the cluster's state comes from Kafka, in the background: the store is served without a broker as well.
  const cluster = new Cluster({ kafka, clock, random, log, fetchSchema }, signal)
  const configuration = configurationOf(config, kafka, log, service.metrics, signal)
  const answers = { metrics, boundMs: config.QUERY_STALENESS_MS, deadlineMs: DEADLINE_MS, now: Date.now }
  const app = createQueryApp(service.http, {
    store: { ...answers, reader },
    cluster: { ...answers, cluster },
    config: {
      ...configuration,
      metrics,
      isRead: () => configuration.follower.isCaughtUp && cluster.stalenessMs !== null,
      members: () => cluster.applying(config.HEARTBEAT_TIMEOUT_MS),
      signal,
    },
  })
  service.announce({ kind: 'query-api' })
  await service.listen(app, config.QUERY_API_PORT)
  return async () => {
    while (!signal.aborted) {
      probed = await probe(reader, metrics, config.QUERY_STALENESS_MS)
      await pause(PROBE_EVERY_MS, signal)
    }
  }
})

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
