// The sink process: telemetry into the store. See sink.ts for the protocol.
import { messageOf, KafkaError } from '../platform/errors.ts'
import type { CheckResult } from '../platform/health.ts'
import { createApp } from '../platform/http.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { aborted } from '../platform/lifecycle.ts'
import { retry, retryWhile } from '../platform/retry.ts'
import { runService } from '../platform/service.ts'
import { retentionOf, startMaintenance } from '../platform/store/maintenance.ts'
import { describeStore, openStore } from '../platform/store/open.ts'
import { ANOMALIES, CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import { SinkMetrics } from './sink-metrics.ts'
import { Sink } from './sink.ts'
import { WatchedStore } from './watched-store.ts'

/** The process that sets up the pipeline creates the topics; the sink may be started at the same time. */
const TOPICS_TIMEOUT_MS = 60_000
/** A store that comes up is noticed within seconds; a wrong password ends the wait at once. */
const STORE_RETRY = { baseMs: 500, capMs: 5_000 }
const TOPICS_POLL = { baseMs: 500, capMs: 1_000 }

runService('sinks', process.env, async (service) => {
  const { config, kafka, log, clock, random, metrics, health, signal, fetchSchema, onStop } = service
  const store = openStore(config, 'write')
  onStop(() => store.close())
  // If the store is down at startup, the sink listens before it is set up: readiness says what it waits for.
  let listening: Promise<number> | null = null
  const listen = (): Promise<number> => (listening ??= service.listen(createApp(service.http), config.SINKS_PORT))
  let storeCheck = (): CheckResult => ({ ready: false, detail: `setting up ${describeStore(config)}` })
  health.add('store', () => storeCheck())
  const migrated = await retryWhile(
    () => !signal.aborted,
    () => store.migrate().then(() => true),
    {
      backoff: STORE_RETRY,
      signal,
      onFailure: (error, attempt) => {
        const detail = `waiting for ${describeStore(config)}: ${messageOf(error)}`
        storeCheck = () => ({ ready: false, detail })
        log.warn({ attempt: attempt + 1 }, detail)
        // A port already in use is reported once the sink is set up.
        listen().catch(() => undefined)
      },
    },
  )
  if (migrated === null) return
  await untilTopicsExist(kafka, signal)
  const watched = new WatchedStore(store)
  onStop(() => watched.close())
  const sink = await Sink.start({
    kafka,
    clock,
    random,
    store: watched,
    metrics: new SinkMetrics(metrics),
    log,
    fetchSchema,
    group: config.SINK_GROUP,
    sessionTimeoutMs: config.SINK_SESSION_MS,
    refineGroup: config.REFINE_GROUP,
    lingerMs: config.SINK_LINGER_MS,
    writeTimeoutMs: config.SINK_WRITE_TIMEOUT_MS,
  })
  onStop(() => sink.stop())
  service.announce({ kind: 'sinks' })
  const maintenance = startMaintenance(store, retentionOf(config), log)
  onStop(() => maintenance.stop())
  health.add('progress', () => sink.tracker.watch.check(Date.now()))
  storeCheck = () => sink.writer.check()
  await listen()
  return () => Promise.race([aborted(signal), sink.failed])
})

async function untilTopicsExist(kafka: Kafka, signal: AbortSignal): Promise<void> {
  const admin = await kafka.admin()
  const look = async (): Promise<void> => {
    const existing = new Set(await admin.listTopics())
    const missing = [RAW, CLEAN, LATE, ANOMALIES, DLQ].filter((topic) => !existing.has(topic))
    if (missing.length > 0)
      throw new KafkaError('UNKNOWN_TOPIC_OR_PARTITION', `topics do not exist: ${missing.join(', ')}`, {
        retriable: true,
      })
  }
  try {
    await retry(look, { backoff: TOPICS_POLL, signal, forMs: TOPICS_TIMEOUT_MS })
  } finally {
    await admin.close()
  }
}
