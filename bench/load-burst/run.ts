// EM-10: the whole pipeline under bursts and brownouts of its store, with the audit at the end. Starts everything in its
// own folder, samples it once a second, and leaves nothing behind but the report.
import { mkdtempSync, rmSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { audit } from '../../audit/audit.ts'
import { untilSettled } from '../../audit/settle.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import { Monitor } from '../../deploy/stack/monitor.ts'
import { runSession, type Session } from '../../deploy/stack/session.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { createLog } from '../../platform/log.ts'
import { DEFAULT_NODES, fleetArguments, fleetWith } from '../../producers/nodes/options.ts'
import { accountForOrder, type OrderAccount } from './order-account.ts'
import { type Recovery, recoveryOf, type Sample, sampleOf } from './samples.ts'
import { type Brownout, BROWNOUTS, BURST, outages } from './scenario.ts'
import { StoreOutage } from './store-outage.ts'

const SAMPLE_MS = 1_000
/** The window over which a sample's latencies and rates are measured. */
const SPAN_MS = 2_000
const SETTLE_MS = 180_000
const SENSOR_RATE_HZ = 10

export interface BurstOptions {
  /** Readings per second between the bursts. */
  readonly rate: number
  readonly seconds: number
  readonly seed: number
  readonly streamJobs: number
  readonly replicas: number
}

export interface BurstReport {
  readonly machine: {
    readonly cores: number
    readonly model: string
    readonly memory_gb: number
    readonly node: string
  }
  readonly options: BurstOptions
  readonly burst: typeof BURST
  /** During a burst: the N in "N events/s". */
  readonly burst_rate_per_s: number
  readonly readings: number
  readonly outages: number
  readonly recoveries: readonly Recovery[]
  readonly retries: number
  readonly peak: { readonly accepted_per_s: number; readonly stored_per_s: number; readonly rss_mb: Sample['rssMb'] }
  readonly samples: readonly Sample[]
  readonly audit: AuditReport
  readonly order: OrderAccount
}

/** @returns null when the operator interrupted it */
export async function runLoadBurst(options: BurstOptions, show: (sample: Sample) => void): Promise<BurstReport | null> {
  const dataDir = mkdtempSync(join(tmpdir(), 'plumbline-burst-'))
  try {
    const { streamJobs, replicas } = options
    const stack = { dataDir, streamJobs, replicas, env: environment(dataDir), fleet: fleetOf(options) }
    return await runSession(stack, (session) => burst(session, options, show))
  } finally {
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function burst(
  { stack, steps, signal }: Session,
  options: BurstOptions,
  show: (sample: Sample) => void,
): Promise<BurstReport | null> {
  const brownouts = BROWNOUTS.filter(({ atMs, lengthMs }) => atMs + lengthMs <= options.seconds * 1_000)
  const monitor = new Monitor(undefined, SPAN_MS)
  const startedAt = performance.now()
  const end = AbortSignal.any([signal, AbortSignal.timeout(options.seconds * 1_000)])
  const samples: Sample[] = []
  const take = async (): Promise<void> => {
    const { view } = await monitor.observe(stack.services().map(({ spec }) => spec))
    const sample = sampleOf(view, Math.round((performance.now() - startedAt) / 100) / 10)
    samples.push(sample)
    show(sample)
  }
  const faults = brownOut(stack.plan.config.SQLITE_FILE, brownouts, options.seed, end)
  while (!end.aborted) {
    await take()
    await delay(SAMPLE_MS, undefined, { signal: end }).catch(() => undefined)
  }
  const fired = await faults
  if (signal.aborted) return null
  await stack.stopProducers(steps)
  const { config } = stack.plan
  const kafka = connectKafka(config, createLog('bench', 'error'))
  await steps.run('what is on its way has arrived', async () => {
    const moving = await untilSettled(config, kafka, SETTLE_MS)
    if (moving !== null) throw new Error(`still in flight after ${SETTLE_MS / 1_000} s: ${moving}`)
  })
  await take()
  let account: AuditReport | null = null
  await steps.run('audit', async () => {
    account = await audit(config, kafka)
  })
  let order: OrderAccount | null = null
  await steps.run('total order', async () => {
    const ids = Array.from({ length: options.replicas }, (_, i) => `r${i + 1}`)
    const root = join(config.DATA_DIR, 'replicas')
    order = await accountForOrder(config, kafka, account!.table.clean, root, ids, SETTLE_MS)
  })
  return reportOf(options, brownouts, fired, samples, account!, order!)
}

/** Makes the store unavailable at the given times. @returns how often that really happened */
async function brownOut(
  file: string,
  brownouts: readonly Brownout[],
  seed: number,
  signal: AbortSignal,
): Promise<number> {
  const startedAt = performance.now()
  const store = new StoreOutage(file)
  try {
    for (const { fromMs, toMs } of outages(brownouts, seed)) {
      const waitMs = fromMs - (performance.now() - startedAt)
      await delay(Math.max(0, waitMs), undefined, { signal }).catch(() => undefined)
      if (signal.aborted) break
      await store.hold(toMs - (performance.now() - startedAt))
    }
    return store.fired
  } finally {
    store.close()
  }
}

function reportOf(
  options: BurstOptions,
  brownouts: readonly Brownout[],
  fired: number,
  samples: readonly Sample[],
  account: AuditReport,
  order: OrderAccount,
): BurstReport {
  const most = (value: (sample: Sample) => number): number => Math.round(Math.max(0, ...samples.map(value)))
  return {
    machine: {
      cores: cpus().length,
      model: cpus()[0]?.model ?? 'unknown',
      memory_gb: Math.round(totalmem() / 2 ** 30),
      node: process.version,
    },
    options,
    burst: BURST,
    burst_rate_per_s: options.rate * BURST.factor,
    readings: account.table.sent?.accepted ?? 0,
    outages: fired,
    recoveries: brownouts.map((brownout) => recoveryOf(brownout, samples)),
    retries: samples.at(-1)?.retries ?? 0,
    peak: {
      accepted_per_s: most((sample) => sample.acceptedPerS),
      stored_per_s: most((sample) => sample.storedPerS),
      rss_mb: {
        producers: most(({ rssMb }) => rssMb.producers),
        refine: most(({ rssMb }) => rssMb.refine),
        sinks: most(({ rssMb }) => rssMb.sinks),
      },
    },
    samples,
    audit: account,
    order,
  }
}

const fleetOf = ({ rate, seed }: BurstOptions): string[] =>
  fleetArguments(
    fleetWith({
      nodes: DEFAULT_NODES,
      sensors: Math.max(1, Math.round(rate / SENSOR_RATE_HZ)),
      rateHz: SENSOR_RATE_HZ,
      seed,
      burstFactor: BURST.factor,
      burstMs: BURST.lengthMs,
      burstEveryMs: BURST.everyMs,
    }),
  )

function environment(dataDir: string): Record<string, string> {
  return {
    PATH: process.env.PATH ?? '',
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? '',
    DATA_DIR: dataDir,
    SQLITE_FILE: join(dataDir, 'store.sqlite'),
    LOG_LEVEL: 'warn',
    KAFKA_BROKERS: '127.0.0.1:0',
    RING_CAPACITY: '200000',
    QUERY_API_PORT: '0',
    REGISTRY_PORT: '0',
    PRODUCERS_PORT: '0',
    STREAM_JOBS_PORT: '0',
    SINKS_PORT: '0',
  }
}
