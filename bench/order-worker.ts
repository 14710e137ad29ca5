// The process under measurement: refine, or a sequencer, or both as in stream-jobs/main.ts. The sequencer runs in some
// windows and not in others within one process, so that other load on the machine and the state of the JIT are the same
// for both kinds. Prints one JSON line per window.
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { systemClock } from '../platform/clock.ts'
import { loadConfig } from '../platform/config.ts'
import { runMain, runTogether } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { createMetrics } from '../platform/metrics.ts'
import { cachedSchemas, registerSchemas } from '../platform/codec/register.ts'
import type { RefineTopics } from '../schemas/topics.ts'
import { observeRefine } from '../stream-jobs/refine/runtime/observe.ts'
import { observeSequencer } from '../stream-jobs/sequencer/runtime/observe.ts'
import { runSequencer } from '../stream-jobs/sequencer/runtime/service.ts'
import type { SequencerTopics } from '../stream-jobs/sequencer/runtime/sequencer.ts'
import { runRefine } from '../stream-jobs/refine/runtime/service.ts'

/** Warm-up of a window: joining, and ordering the backlog from while no sequencer ran. */
const SETTLE_MS = 4_000

export interface OrderWorkerInput {
  readonly topics: RefineTopics
  readonly sequencerTopics: SequencerTopics
  readonly refine: boolean
  /** Length of one window, once settled. */
  readonly windowMs: number
  /** Whether the sequencer runs, per window. */
  readonly windows: readonly boolean[]
}

export interface OrderWindow {
  readonly sequencer: boolean
  readonly seconds: number
  readonly cpuSeconds: number
  readonly consumed: number
  readonly transactions: number
  readonly extents: number
}

runMain(async (signal) => {
  const input = JSON.parse(process.argv[2]) as OrderWorkerInput
  const config = loadConfig(process.env)
  const log = createLog('bench', config.LOG_LEVEL)
  const counts = { consumed: 0, transactions: 0, extents: 0 }
  const metrics = createMetrics('bench')
  const observer = observeRefine(metrics, input.topics.raw)
  const orderObserver = observeSequencer(metrics, input.topics.extents)
  const shared = {
    config,
    kafka: connectKafka(config, log),
    clock: systemClock,
    random: Math.random,
    log,
    fetchSchema: cachedSchemas(config.REGISTRY_URL),
    schemaIds: await registerSchemas(config.REGISTRY_URL),
  }
  const refine = (end: AbortSignal): Promise<void> =>
    runRefine(
      {
        ...shared,
        topics: input.topics,
        observer: {
          ...observer,
          committed: (report) => {
            observer.committed(report)
            counts.consumed += report.delta.consumed
          },
        },
      },
      end,
      () => undefined,
    )
  const sequencer = (end: AbortSignal): Promise<void> =>
    runSequencer(
      {
        ...shared,
        topics: input.sequencerTopics,
        memberId: 'bench',
        observer: {
          ...orderObserver,
          committed: (report) => {
            orderObserver.committed(report)
            counts.transactions += 1
            counts.extents += report.extents
          },
        },
      },
      end,
      () => undefined,
    )
  const window = async (withSequencer: boolean, end: AbortSignal): Promise<void> => {
    await systemClock.sleep(SETTLE_MS, end)
    const before = { ...counts, at: performance.now(), cpu: process.cpuUsage() }
    await systemClock.sleep(input.windowMs, end)
    const { user, system } = process.cpuUsage(before.cpu)
    const result: OrderWindow = {
      sequencer: withSequencer,
      seconds: (performance.now() - before.at) / 1_000,
      cpuSeconds: (user + system) / 1e6,
      consumed: counts.consumed - before.consumed,
      transactions: counts.transactions - before.transactions,
      extents: counts.extents - before.extents,
    }
    process.stdout.write(`${JSON.stringify(result)}\n`)
  }
  const measure = async (end: AbortSignal): Promise<void> => {
    for (const withSequencer of input.windows) {
      if (end.aborted) return
      if (withSequencer) await runTogether(end, [sequencer, (both) => window(true, both)])
      else await window(false, end)
    }
  }
  await runTogether(signal, input.refine ? [refine, measure] : [measure])
})
