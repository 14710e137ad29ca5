// Refine that sends itself a signal at one step of the commit protocol: the scripted faults of these tests. All else is
// as in stream-jobs/main.ts. CRASH_STEP names the step, CRASH_AFTER how often it is passed before, CRASH_SIGNAL what
// comes then, once: SIGKILL, or SIGSTOP for a process that hangs in the middle of a transaction. CORE_THROWS is part of a
// sensor's key on whose readings the core throws when half of its work is done.
import { systemClock } from '../../platform/clock.ts'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { runMain } from '../../platform/lifecycle.ts'
import { createLog } from '../../platform/log.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { fetchSchema, registerSchemas } from '../../platform/codec/register.ts'
import { REFINE_TOPICS } from '../../schemas/topics.ts'
import { Emitter } from '../../stream-jobs/refine/core/emitter.ts'
import { observeRefine } from '../../stream-jobs/refine/runtime/observe.ts'
import { runRefine } from '../../stream-jobs/refine/runtime/service.ts'

runMain(async (signal) => {
  const { CRASH_STEP, CRASH_AFTER, CRASH_SIGNAL = 'SIGKILL', CORE_THROWS, ...env } = process.env
  if (CORE_THROWS !== undefined) plantMistake(CORE_THROWS)
  const config = loadConfig(env)
  const log = createLog('refine-entry', config.LOG_LEVEL)
  let left = Number(CRASH_AFTER)
  log.info('refine starts')
  await runRefine(
    {
      config,
      kafka: connectKafka(config, log),
      clock: systemClock,
      random: Math.random,
      log,
      observer: observeRefine(createMetrics('refine-entry'), REFINE_TOPICS.raw),
      fetchSchema: (id) => fetchSchema(config.REGISTRY_URL, id),
      schemaIds: await registerSchemas(config.REGISTRY_URL),
      topics: REFINE_TOPICS,
      onStep: (step) => {
        if (step !== CRASH_STEP) return
        left -= 1
        if (left === -1) process.kill(process.pid, CRASH_SIGNAL)
      },
    },
    signal,
    () => undefined,
  )
})

function plantMistake(key: string): void {
  const prototype = Emitter.prototype
  const { pass } = prototype
  prototype.pass = function (this: Emitter, ...given) {
    pass.apply(this, given)
    if (given[0].key.includes(key)) throw new TypeError('a planted mistake')
  }
}
