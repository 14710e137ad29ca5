// A sequencer that sends itself a signal at one step of its commit protocol: the scripted faults of these tests. All else
// is as in stream-jobs/main.ts. CRASH_STEP names the step, CRASH_AFTER how often it is passed before, CRASH_SIGNAL what
// comes then, once: SIGKILL, or SIGSTOP for a process that hangs in the middle of a transaction.
import { systemClock } from '../../platform/clock.ts'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { runMain } from '../../platform/lifecycle.ts'
import { createLog } from '../../platform/log.ts'
import { announce } from '../../platform/membership/announcer.ts'
import { memberIdOf } from '../../platform/membership/member-id.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { fetchSchema, registerSchemas } from '../../platform/codec/register.ts'
import { observeSequencer } from '../../stream-jobs/sequencer/runtime/observe.ts'
import { runSequencer, SEQUENCER_TOPICS } from '../../stream-jobs/sequencer/runtime/service.ts'

runMain(async (signal) => {
  const { CRASH_STEP, CRASH_AFTER, CRASH_SIGNAL = 'SIGKILL', ...env } = process.env
  const config = loadConfig(env)
  const log = createLog('sequencer-entry', config.LOG_LEVEL)
  const kafka = connectKafka(config, log)
  const schemaIds = await registerSchemas(config.REGISTRY_URL)
  const announcer = announce({ config, kind: 'stream-jobs', kafka, clock: systemClock, log })
  let left = Number(CRASH_AFTER)
  log.info('sequencer starts')
  await runSequencer(
    {
      config,
      kafka,
      clock: systemClock,
      random: Math.random,
      log,
      observer: observeSequencer(createMetrics('sequencer-entry'), SEQUENCER_TOPICS.extents),
      fetchSchema: (id) => fetchSchema(config.REGISTRY_URL, id),
      schemaIds,
      topics: SEQUENCER_TOPICS,
      memberId: memberIdOf(config, 'stream-jobs'),
      onStep: (step) => {
        if (step !== CRASH_STEP) return
        left -= 1
        if (left === -1) process.kill(process.pid, CRASH_SIGNAL)
      },
    },
    signal,
    () => undefined,
  )
  await announcer.stop()
})
