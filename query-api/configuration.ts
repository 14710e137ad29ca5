// The query API's part in the runtime configuration: it knows the version in force, and writes new ones.
import { type Clock, systemClock } from '../platform/clock.ts'
import type { Config } from '../platform/config.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import type { Logger } from '../platform/log.ts'
import type { Registry } from '../platform/metrics.ts'
import { ConfigFollower } from '../platform/runtime-config/follower.ts'
import { configMetrics } from '../platform/runtime-config/metrics.ts'
import { baseValues } from '../platform/runtime-config/settings.ts'
import { ConfigWriter } from '../platform/runtime-config/writer.ts'
import { cachedSchemas, RegistryError, registerSchemas } from '../platform/codec/register.ts'
import { CONFIG } from '../schemas/topics.ts'

export function configurationOf(
  config: Config,
  kafka: Kafka,
  log: Logger,
  registry: Registry,
  signal: AbortSignal,
): { follower: ConfigFollower; writer: ConfigWriter; clock: Clock } {
  const clock = systemClock
  const fetchSchema = cachedSchemas(config.REGISTRY_URL, config.API_TOKEN)
  const base = baseValues(config)
  const metrics = configMetrics(registry, (): number => follower.current.version)
  const follower: ConfigFollower = new ConfigFollower(
    { kafka, clock, random: Math.random, log, fetchSchema, base, metrics },
    signal,
  )
  let schemaId: number | undefined
  const writer = new ConfigWriter({
    kafka,
    now: () => clock.now(),
    fetchSchema,
    schemaId: async () => (schemaId ??= await configSchemaId(config)),
    base,
    seen: () => follower.current,
  })
  return { follower, writer, clock }
}

/** Registering what is registered changes nothing. */
async function configSchemaId({ REGISTRY_URL, API_TOKEN }: Config): Promise<number> {
  const id = (await registerSchemas(REGISTRY_URL, API_TOKEN)).get(CONFIG)
  if (id === undefined)
    throw new RegistryError('REGISTRY_REFUSED', `the registry gave no id for the schema of ${CONFIG}`)
  return id
}
