// An operator who changes the runtime configuration now and then, with the real writer, from a process that is killed
// like any other; sometimes two changes are requested at once, and sometimes one is based on an old version.
import type { Config } from '../../platform/config.ts'
import { KafkaError } from '../../platform/errors.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { NOTHING_SET, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import { baseValues } from '../../platform/runtime-config/settings.ts'
import { ConfigWriter, LostUpdate } from '../../platform/runtime-config/writer.ts'
import { CONFIG } from '../../schemas/topics.ts'
import type { Life } from '../life.ts'
import { chance, type Random, whole } from '../random.ts'
import { SCHEMA_IDS, type SimRegistry } from '../registry.ts'

const EVERY_MS_MAX = 2_000
const FROM_OLD = 0.3

export interface OperatorOptions {
  readonly config: Config
  readonly kafka: Kafka
  readonly life: Life
  readonly random: Random
  readonly registry: SimRegistry
  /** Whether changes are still to be made. */
  readonly isWorking: () => boolean
  /** Called when a change was confirmed to its author. */
  readonly onWritten: (written: RuntimeConfig) => void
}

/** Never ends by itself. */
export async function runOperatorService(options: OperatorOptions): Promise<void> {
  const { config, kafka, life, random, registry, isWorking, onWritten } = options
  const writer = new ConfigWriter({
    kafka,
    now: () => life.clock.now(),
    fetchSchema: (id) => life.call(() => registry.fetchSchema(id)),
    schemaId: () => Promise.resolve(SCHEMA_IDS.get(CONFIG)!),
    base: baseValues(config),
    seen: () => NOTHING_SET,
  })
  let last: number | null = null
  const change = async (): Promise<void> => {
    const scopes = { fleet: { 'detector.z': 2 + random(), 'refine.gap_timeout_ms': whole(random, 300, 900) } }
    try {
      const written = await writer.write(scopes, chance(random, FROM_OLD) ? last : null)
      last = written.version
      onWritten(written)
    } catch (error) {
      // Nothing was promised; the next change is based on whatever is there.
      if (!(error instanceof KafkaError || error instanceof LostUpdate)) throw error
      last = null
    }
  }
  for (;;) {
    await life.clock.sleep(random() * EVERY_MS_MAX)
    if (isWorking()) await Promise.all(Array.from({ length: whole(random, 1, 2) }, change))
  }
}
