// Refine as a simulated process: the real service, from joining the group to its transactions.
import type { Config } from '../../platform/config.ts'
import { ProgressWatch } from '../../platform/health.ts'
import { ConfigFollower } from '../../platform/runtime-config/follower.ts'
import { baseValues } from '../../platform/runtime-config/settings.ts'
import { REFINE_TOPICS } from '../../schemas/topics.ts'
import { RefineConfiguration } from '../../stream-jobs/refine/runtime/configuration.ts'
import type { RefineObserver } from '../../stream-jobs/refine/runtime/observe.ts'
import { runRefine } from '../../stream-jobs/refine/runtime/service.ts'
import type { CommitStep } from '../../stream-jobs/refine/runtime/task.ts'
import { SCHEMA_IDS } from '../registry.ts'
import type { ServiceOptions } from './options.ts'

export interface RefineOptions extends ServiceOptions {
  readonly config: Config
  readonly onStep: (step: CommitStep, partition: number) => void
}

const observer = (): RefineObserver => ({
  watch: new ProgressWatch(),
  committed: () => undefined,
  progress: () => undefined,
  keep: () => undefined,
})

export function runRefineService({ life, registry, signal, ...rest }: RefineOptions): Promise<void> {
  const config = { ...rest.config, MEMBER_ID: life.name }
  const fetchSchema = (id: number): Promise<string | null> => life.call(() => registry.fetchSchema(id))
  const follower = new ConfigFollower(
    { ...rest, clock: life.clock, fetchSchema, base: baseValues(config), metrics: { refused: () => undefined } },
    signal,
  )
  return runRefine(
    {
      ...rest,
      config,
      configuration: new RefineConfiguration(config, follower),
      clock: life.clock,
      observer: observer(),
      fetchSchema,
      topics: REFINE_TOPICS,
      schemaIds: SCHEMA_IDS,
    },
    signal,
    () => undefined,
  )
}
