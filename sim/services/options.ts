// What every simulated service gets from the run.
import type { Kafka } from '../../platform/kafka/port.ts'
import type { Logger } from '../../platform/log.ts'
import type { Life } from '../life.ts'
import type { Random } from '../random.ts'
import type { SimRegistry } from '../registry.ts'

export interface ServiceOptions {
  readonly kafka: Kafka
  readonly life: Life
  readonly random: Random
  readonly log: Logger
  readonly registry: SimRegistry
  readonly signal: AbortSignal
}
