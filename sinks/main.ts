// The sink process: telemetry into the store. See sink.ts for the protocol.
import { systemClock } from '../platform/clock.ts'
import { loadConfig, type Config } from '../platform/config.ts'
import { PlumblineError } from '../platform/errors.ts'
import { Health } from '../platform/health.ts'
import { createApp, listen } from '../platform/http.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { aborted, runMain } from '../platform/lifecycle.ts'
import { createLog, type Logger } from '../platform/log.ts'
import { announce } from '../platform/membership/announcer.ts'
import { createMetrics } from '../platform/metrics.ts'
import { retentionOf, startMaintenance } from '../platform/store/maintenance.ts'
import { openStore } from '../platform/store/open.ts'
import { cachedSchemas } from '../platform/codec/register.ts'
import { ANOMALIES, CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { SinkMetrics } from './sink-metrics.ts'
import { Sink } from './sink.ts'
import { WatchedStore } from './watched-store.ts'

/** Whoever sets the pipeline up creates the topics; the sink may be started at the same time. */
const TOPICS_TIMEOUT_MS = 60_000
const TOPICS_POLL_MS = 500

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('sinks', config.LOG_LEVEL)
  const registry = createMetrics('sinks')
  const health = new Health()
  const app = createApp({ health, metrics: registry, log, token: config.API_TOKEN })
  const store = openStore(config, 'write')
  await store.migrate()
  const kafka = connectKafka(config, log)
  await untilTopicsExist(kafka, signal)
  const watched = new WatchedStore(store)
  const sink = await startSink(config, kafka, watched, new SinkMetrics(registry), log)
  const announcer = announce({ config, kind: 'sinks', kafka, clock: systemClock, log })
  const maintenance = startMaintenance(store, retentionOf(config), log)
  health.add('progress', () => sink.tracker.watch.check(Date.now()))
  health.add('store', () => sink.writer.check())
  const { port, close } = await listen(app, config.LISTEN_HOST, config.SINKS_PORT, log)
  log.info({ port }, 'sink ready')
  try {
    await Promise.race([aborted(signal), sink.failed])
  } finally {
    await sink.stop()
    await watched.close()
    await maintenance.stop()
    await store.close()
    await close()
  }
  await announcer.stop()
})

function startSink(
  config: Config,
  kafka: Kafka,
  store: WatchedStore,
  metrics: SinkMetrics,
  log: Logger,
): Promise<Sink> {
  return Sink.start({
    kafka,
    clock: systemClock,
    random: Math.random,
    store,
    metrics,
    log,
    fetchSchema: cachedSchemas(config.REGISTRY_URL, config.API_TOKEN),
    group: config.SINK_GROUP,
    refineGroup: config.REFINE_GROUP,
    lingerMs: config.SINK_LINGER_MS,
    writeTimeoutMs: config.SINK_WRITE_TIMEOUT_MS,
  })
}

async function untilTopicsExist(kafka: Kafka, signal: AbortSignal): Promise<void> {
  const admin = await kafka.admin()
  const deadline = performance.now() + TOPICS_TIMEOUT_MS
  try {
    for (;;) {
      const existing = new Set(await admin.listTopics())
      const missing = [RAW, CLEAN, LATE, ANOMALIES, DLQ].filter((topic) => !existing.has(topic))
      if (missing.length === 0) return
      if (performance.now() > deadline)
        throw new PlumblineError('TOPICS_MISSING', `topics do not exist: ${missing.join(', ')}`)
      await delay(TOPICS_POLL_MS, undefined, { signal })
    }
  } finally {
    await admin.close()
  }
}
