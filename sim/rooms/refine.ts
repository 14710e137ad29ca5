// Refine as a simulated process: the real service, from joining the group to its transactions.
import type { Config } from '../../platform/config.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import type { Logger } from '../../platform/log.ts'
import { ProgressWatch } from '../../platform/health.ts'
import { REFINE_TOPICS } from '../../schemas/topics.ts'
import type { RefineObserver } from '../../stream-jobs/runtime/observe.ts'
import { runRefine } from '../../stream-jobs/runtime/service.ts'
import type { CommitStep } from '../../stream-jobs/runtime/task.ts'
import type { Life } from '../life.ts'
import type { Random } from '../random.ts'
import { SCHEMA_IDS, type SimRegistry } from '../registry.ts'

export interface RefineOptions {
  readonly config: Config
  readonly kafka: Kafka
  readonly life: Life
  readonly random: Random
  readonly log: Logger
  readonly registry: SimRegistry
  readonly signal: AbortSignal
  readonly onStep: (step: CommitStep, partition: number) => void
}

const observer = (): RefineObserver => ({
  watch: new ProgressWatch(),
  committed: () => undefined,
  progress: () => undefined,
  keep: () => undefined,
})

export function runRefineRoom({ life, registry, signal, ...rest }: RefineOptions): Promise<void> {
  return runRefine(
    {
      ...rest,
      clock: life.clock,
      observer: observer(),
      fetchSchema: (id) => life.call(() => registry.fetchSchema(id)),
      topics: REFINE_TOPICS,
      schemaIds: SCHEMA_IDS,
    },
    signal,
    () => undefined,
  )
}
