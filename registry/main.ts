// The local schema registry: reads its topic to the end, then serves. To use Confluent's registry instead, point
// REGISTRY_URL there; the topic is the same.
import { runService } from '../platform/service.ts'
import { Registry } from './registry.ts'
import { SchemaLog } from './schema-log.ts'
import { createRegistryApp } from './server.ts'

runService('registry', process.env, async ({ config, kafka, log, http, listen, onStop }) => {
  const schemas = await SchemaLog.open(kafka, log)
  onStop(() => schemas.close())
  await listen(createRegistryApp(new Registry(schemas), http), config.REGISTRY_PORT)
})
