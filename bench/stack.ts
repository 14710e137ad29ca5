// What a benchmark runs on: the configured brokers and registry if the user asks for them, otherwise a broker and a
// registry of its own in a temporary folder, removed afterwards.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startKafka } from '../deploy/local/kafka.ts'
import { ensureTools } from '../deploy/local/tools.ts'
import { type Config, loadConfig } from '../platform/config.ts'
import { Health } from '../platform/health.ts'
import { listen } from '../platform/http.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { createLog } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { registerSchemas } from '../platform/codec/register.ts'
import { Registry } from '../registry/registry.ts'
import { SchemaLog } from '../registry/schema-log.ts'
import { createRegistryApp } from '../registry/server.ts'
import { RAW } from '../schemas/topics.ts'
import type { BenchEnvironment } from './refine.ts'

/**
 * Runs a benchmark on a stack.
 * @param existing use the configured brokers and registry instead of starting some
 */
export async function withBenchStack<T>(
  config: Config,
  existing: boolean,
  progress: (text: string) => void,
  bench: (environment: BenchEnvironment) => Promise<T>,
): Promise<T> {
  if (existing) return bench(await environmentOf(config, progress))
  await ensureTools(['java', 'maven'], progress)
  progress('starting a broker and a registry for this run')
  const dataDir = mkdtempSync(join(tmpdir(), 'plumbline-bench-'))
  const broker = await startKafka({ dataDir, port: 0, progress })
  const log = createLog('bench', 'error')
  try {
    const own = loadConfig({ KAFKA_BROKERS: broker.brokers })
    const schemas = await SchemaLog.open(connectKafka(own, log), log)
    const app = createRegistryApp(new Registry(schemas), {
      health: new Health(),
      metrics: createMetrics('registry'),
      log,
      token: undefined,
    })
    const server = await listen(app, '127.0.0.1', 0, log)
    try {
      return await bench(await environmentOf({ ...own, REGISTRY_URL: `http://127.0.0.1:${server.port}` }, progress))
    } finally {
      await server.close()
      await schemas.close()
    }
  } finally {
    await broker.kill()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function environmentOf(config: Config, progress: (text: string) => void): Promise<BenchEnvironment> {
  const ids = await registerSchemas(config.REGISTRY_URL, config.API_TOKEN)
  return {
    kafka: connectKafka(config, createLog('bench', 'error')),
    brokers: config.KAFKA_BROKERS,
    registryUrl: config.REGISTRY_URL,
    readingSchemaId: ids.get(RAW)!,
    progress,
  }
}
