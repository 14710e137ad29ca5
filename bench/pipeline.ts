// The whole pipeline under a steady load on this machine: producers, Kafka, refine, sink and store as `up` starts them,
// with a fleet at the given rate. Reports whether the rate is sustained (what waits does not grow), how old a reading is
// when it is stored, and where the CPU goes.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { PipelineView } from '../deploy/stack/core/pipeline.ts'
import { Monitor } from '../deploy/stack/monitor.ts'
import { Stack } from '../deploy/stack/stack.ts'
import { Steps } from '../deploy/stack/steps.ts'
import { DEFAULT_NODES, fleetArguments, fleetWith } from '../producers/nodes/options.ts'

/** Until code is compiled, windows are full and caches are warm. */
const WARM_UP_MS = 20_000
const RATE_HZ = 10
const SAMPLE_MS = 2_000
/** Linux counts CPU time in hundredths of a second. */
const TICKS_PER_SECOND = 100
/** How much the backlog may grow over the measurement, in seconds of load, and still count as sustained. */
const GROWTH_SECONDS = 1

export interface PipelineReport {
  readonly offered_per_s: number
  readonly accepted_per_s: number
  readonly stored_per_s: number
  readonly sustained: boolean
  /** Records waiting in front of any stage, at the start and at the end of the measurement. */
  readonly waiting_first: number
  readonly waiting_last: number
  /** From sample to store. */
  readonly latency_p50_ms: number | null
  readonly latency_p99_ms: number | null
  /** CPU µs per stored reading, by part. */
  readonly cpu_us: Readonly<Record<string, number>>
  readonly cores_used: number
  readonly peak_rss_mb: Readonly<Record<string, number>>
}

/**
 * @param rate readings per second over all sensors
 * @param seconds length of the measurement after the warm-up
 */
export async function benchPipeline(
  rate: number,
  seconds: number,
  progress: (text: string) => void,
): Promise<PipelineReport> {
  const dataDir = mkdtempSync(join(tmpdir(), 'plumbline-bench-'))
  const stack = new Stack({ dataDir, streamJobs: 1, env: environment(dataDir), fleet: fleetAt(rate) })
  const steps = new Steps(process.stderr)
  try {
    await stack.start(steps)
    progress(`warming up at ${rate.toLocaleString('en')} readings/s`)
    await delay(WARM_UP_MS)
    return await measure(stack, rate, seconds, progress)
  } finally {
    await stack.kill()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

const fleetAt = (rate: number): string[] =>
  fleetArguments(fleetWith({ nodes: DEFAULT_NODES, sensors: Math.round(rate / RATE_HZ), rateHz: RATE_HZ }))

const environment = (dataDir: string): Record<string, string> => ({
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
})

async function measure(
  stack: Stack,
  rate: number,
  seconds: number,
  progress: (text: string) => void,
): Promise<PipelineReport> {
  const monitor = new Monitor(undefined, seconds * 2_000)
  const watched = stack.services().map(({ spec }) => spec)
  const pids = processIds(stack)
  const first = (await monitor.observe(watched)).view
  const startedAt = performance.now()
  const cpuBefore = pids.map(({ pid }) => cpuSeconds(pid))
  let last: PipelineView = first
  while (performance.now() - startedAt < seconds * 1_000) {
    await delay(SAMPLE_MS)
    last = (await monitor.observe(watched)).view
    progress(
      `stored ${Math.round(stored(last).outPerS).toLocaleString('en')}/s, waiting ${waiting(last).toLocaleString('en')}`,
    )
  }
  const elapsed = (performance.now() - startedAt) / 1_000
  const rows = stored(last).total - stored(first).total
  const cpu = pids.map(({ pid }, i) => cpuSeconds(pid) - cpuBefore[i])
  const sampleToStore = last.latencies.find(({ name }) => name === 'sample to store')
  return {
    offered_per_s: rate,
    accepted_per_s: Math.round((last.stages[0].total - first.stages[0].total) / elapsed),
    stored_per_s: Math.round(rows / elapsed),
    sustained: waiting(last) - waiting(first) < GROWTH_SECONDS * rate,
    waiting_first: waiting(first),
    waiting_last: waiting(last),
    latency_p50_ms: toMs(sampleToStore?.p50),
    latency_p99_ms: toMs(sampleToStore?.p99),
    cpu_us: byPart(pids, (_, i) => Number(((cpu[i] / rows) * 1e6).toFixed(2))),
    cores_used: Number((cpu.reduce((sum, used) => sum + used, 0) / elapsed).toFixed(2)),
    peak_rss_mb: byPart(pids, ({ pid }) => peakRssMb(pid)),
  }
}

interface Part {
  readonly name: string
  readonly pid: number
}

function processIds(stack: Stack): Part[] {
  const services = stack
    .services()
    .flatMap(({ spec, state }) => (state.kind === 'running' ? [{ name: spec.name, pid: state.pid }] : []))
  return [...services, { name: 'kafka', pid: stack.kafkaPid }]
}

const byPart = (parts: readonly Part[], value: (part: Part, index: number) => number): Record<string, number> =>
  Object.fromEntries(parts.map((part, i) => [part.name, value(part, i)]))

const stored = ({ stages }: PipelineView): PipelineView['stages'][number] => stages.at(-1)!
const waiting = ({ stages }: PipelineView): number => stages.reduce((sum, { lag }) => sum + lag, 0)
const toMs = (seconds: number | null | undefined): number | null =>
  seconds == null ? null : Math.round(seconds * 1_000)

/** User and system time of a process, s; see proc(5). */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

function peakRssMb(pid: number): number {
  const [, kilobytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Math.round(Number(kilobytes) / 1_024)
}
