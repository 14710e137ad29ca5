// The local schema registry: reads its topic to the end, then serves. Whoever runs Confluent's registry points
// REGISTRY_URL there instead; the topic is the same.
import { loadConfig } from '../platform/config.ts'
import { Health } from '../platform/health.ts'
import { listen } from '../platform/http.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { aborted, runMain } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { Registry } from './registry.ts'
import { SchemaLog } from './schema-log.ts'
import { createRegistryApp } from './server.ts'

runMain(async (signal) => {
  const config = loadConfig(process.env)
  const log = createLog('registry', config.LOG_LEVEL)
  const schemas = await SchemaLog.open(connectKafka(config, log), log)
  const options = { health: new Health(), metrics: createMetrics('registry'), log, token: config.API_TOKEN }
  const app = createRegistryApp(new Registry(schemas), options)
  const server = await listen(app, config.LISTEN_HOST, config.REGISTRY_PORT, log)
  log.info({ port: server.port }, 'schema registry listens')
  await aborted(signal)
  await server.close()
  await schemas.close()
})
