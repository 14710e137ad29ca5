// The sink over a store that fails on request: PUT /fault sets what every write meets from then on, null lifts it, and
// GET /fault says how often each fault has struck. All else is as in sinks/main.ts. Chance is seeded: the n-th write
// that may fail does so in every run, or in none.
import { json } from 'express'
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { systemClock } from '../../platform/clock.ts'
import { loadConfig } from '../../platform/config.ts'
import { Health } from '../../platform/health.ts'
import { createApp, listen } from '../../platform/http.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { aborted, runMain } from '../../platform/lifecycle.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { openStore } from '../../platform/store/open.ts'
import { cachedSchemas } from '../../platform/codec/register.ts'
import { SinkMetrics } from '../../sinks/sink-metrics.ts'
import { Sink } from '../../sinks/sink.ts'
import { WatchedStore } from '../../sinks/watched-store.ts'
import { FaultyStore, type StoreFault } from '../fixtures/faulty-store.ts'

/** Its chances begin with three outages in a row at a share of one half. */
const SEED = 3

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('sink-entry', config.LOG_LEVEL)
  const registry = createMetrics('sink-entry')
  const health = new Health()
  const generator = xoroshiro128plus(SEED)
  const store = new FaultyStore(openStore(config, 'write'), () => uniformFloat64(generator))
  await store.migrate()
  const watched = new WatchedStore(store)
  const sink = await Sink.start({
    kafka: connectKafka(config, log),
    clock: systemClock,
    random: Math.random,
    store: watched,
    metrics: new SinkMetrics(registry),
    log,
    fetchSchema: cachedSchemas(config.REGISTRY_URL),
    group: config.SINK_GROUP,
    sessionTimeoutMs: config.SINK_SESSION_MS,
    refineGroup: config.REFINE_GROUP,
    lingerMs: config.SINK_LINGER_MS,
    writeTimeoutMs: config.SINK_WRITE_TIMEOUT_MS,
  })
  health.add('store', () => sink.writer.check())
  const app = createApp({ health, metrics: registry, log, token: undefined })
  app.put('/fault', json(), (request, response) => {
    store.standing = (request.body as { fault: StoreFault | null }).fault
    response.json(store.fired)
  })
  app.get('/fault', (_request, response) => {
    response.json(store.fired)
  })
  const { close } = await listen(app, config.LISTEN_HOST, config.SINKS_PORT, log)
  try {
    await Promise.race([aborted(signal), sink.failed])
  } finally {
    await sink.stop()
    await watched.close()
    await store.close()
    await close()
  }
})
