// A sequencer as a simulated process: the real service, active or standby, with the views that its leader publishes,
// and the heartbeat that makes it a member itself.
import type { Config } from '../../platform/config.ts'
import { ProgressWatch } from '../../platform/health.ts'
import { Announcer } from '../../platform/membership/announcer.ts'
import { NODES } from '../../schemas/topics.ts'
import type { SequencerObserver } from '../../stream-jobs/sequencer/runtime/observe.ts'
import { runSequencer, SEQUENCER_TOPICS } from '../../stream-jobs/sequencer/runtime/service.ts'
import type { SequencerStep } from '../../stream-jobs/sequencer/runtime/sequencer.ts'
import { SCHEMA_IDS } from '../registry.ts'
import type { ServiceOptions } from './options.ts'

export interface SequencerOptions extends ServiceOptions {
  readonly config: Config
  readonly onStep: (step: SequencerStep) => void
}

const observer = (): SequencerObserver => ({
  watch: new ProgressWatch(),
  active: () => undefined,
  committed: () => undefined,
  progress: () => undefined,
})

export async function runSequencerService({ life, registry, signal, ...rest }: SequencerOptions): Promise<void> {
  const { config, kafka, log } = rest
  const announcer = new Announcer({
    kafka,
    clock: life.clock,
    log,
    intervalMs: config.HEARTBEAT_MS,
    memberId: life.name,
    kind: 'stream-jobs',
    schemaId: () => Promise.resolve(SCHEMA_IDS.get(NODES)!),
  })
  await runSequencer(
    {
      ...rest,
      clock: life.clock,
      observer: observer(),
      fetchSchema: (id) => life.call(() => registry.fetchSchema(id)),
      topics: SEQUENCER_TOPICS,
      schemaIds: SCHEMA_IDS,
      memberId: life.name,
    },
    signal,
    () => undefined,
  )
  await announcer.stop()
}
