// The process under measurement: refine over a backlog, until all of it is committed. Prints its resource usage as JSON;
// process startup is part of its CPU time, as it is for a user.
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { systemClock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config.ts'
import { runMain } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { cachedSchemas, registerSchemas } from '../platform/codec/register.ts'
import type { RefineTopics } from '../schemas/topics.ts'
import { observeRefine } from '../stream-jobs/refine/runtime/observe.ts'
import { runRefine } from '../stream-jobs/refine/runtime/service.ts'

/** Topics to work on and the raw records to wait for, by partition. Refine may append control records of its own. */
export interface WorkerInput {
  readonly topics: RefineTopics
  readonly records: readonly number[]
}

export interface WorkerResult {
  readonly records: number
  /** From the first commit of a record to the last. */
  readonly seconds: number
  readonly cpuSeconds: number
  /** CPU before the first transaction: process startup, modules, connections. */
  readonly startCpuSeconds: number
  readonly peakRssBytes: number
  readonly commits: number
  readonly outcomes: Readonly<Record<string, number>>
}

runMain(async (signal) => {
  const input = JSON.parse(process.argv[2]) as WorkerInput
  const config = loadConfig(process.env)
  const log = createLog('bench', config.LOG_LEVEL)
  const observer = observeRefine(createMetrics('bench'), input.topics.raw)
  const done = new AbortController()
  const outcomes: Record<string, number> = {}
  const remaining = [...input.records]
  let startedAt = 0
  let startCpu = 0
  let endedAt = 0
  let commits = 0
  await runRefine(
    {
      config,
      topics: input.topics,
      kafka: connectKafka(config, log),
      clock: systemClock,
      random: Math.random,
      log,
      observer: {
        ...observer,
        committed: (report) => {
          observer.committed(report)
          if (report.delta.consumed === 0) {
            // The first transaction of a partition has no records; so has the snapshot of a clean stop.
            if (commits > 0) return
            startedAt = performance.now()
            startCpu = cpuSeconds()
            return
          }
          commits += 1
          endedAt = performance.now()
          for (const [outcome, count] of Object.entries(report.delta))
            outcomes[outcome] = (outcomes[outcome] ?? 0) + count
          remaining[report.partition] -= report.delta.consumed
          if (remaining.every((records) => records <= 0)) done.abort()
        },
      },
      fetchSchema: cachedSchemas(config.REGISTRY_URL),
      schemaIds: await registerSchemas(config.REGISTRY_URL),
    },
    AbortSignal.any([signal, done.signal]),
    () => undefined,
  )
  const result: WorkerResult = {
    records: outcomes.consumed ?? 0,
    seconds: (endedAt - startedAt) / 1_000,
    cpuSeconds: cpuSeconds(),
    startCpuSeconds: startCpu,
    peakRssBytes: process.resourceUsage().maxRSS * 1_024,
    commits,
    outcomes,
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
})

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}
