// What the total order costs refine under a steady load, in two ways: a sequencer that is switched on and off in turn in
// refine's process, and one in its own process, whose CPU time is not a difference of large numbers. Measured for
// readings as they are and for larger ones, since the order must cost the same for both: it carries extents, not readings.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type RefineTopics, REFINE_TOPICS, topicSpec } from '../schemas/topics.ts'
import { SEQUENCER_TOPICS } from '../stream-jobs/sequencer/runtime/service.ts'
import type { SequencerTopics } from '../stream-jobs/sequencer/runtime/sequencer.ts'
import type { OrderWindow, OrderWorkerInput } from './order-worker.ts'
import { rounds } from './readings.ts'
import type { BenchEnvironment } from './refine.ts'
import { BenchError } from './errors.ts'

const WORKER = fileURLToPath(new URL('./order-worker.ts', import.meta.url))
const PARTITIONS = 6
/** Sent together: at 20,000 readings/s every 50 ms, so that every transaction of refine gets some. */
const PER_ROUND = 1_000
const PAD_BYTES = 1_000

export interface OrderBenchOptions {
  readonly rate: number
  /** Pairs of windows, after one pair that warms up. */
  readonly rounds: number
  /** Length of a window, s. */
  readonly seconds: number
}

export interface OrderCost {
  readonly reading_bytes: number
  readonly refined_per_s: number
  readonly refined_per_s_with_sequencer: number
  /** Ratio: with the sequencer to without it. */
  readonly throughput_ratio: number
  /** CPU time of refine's process per reading, without and with the sequencer in it. */
  readonly cpu_us_per_reading: number
  readonly cpu_us_per_reading_with_sequencer: number
  /** Of the process that runs only the sequencer. */
  readonly transactions_per_s: number
  readonly extents_per_s: number
  readonly cpu_us_per_transaction: number
  readonly cpu_us_per_extent: number
  /** Its share of one core, which is all that refine's process has: the share of throughput that the order costs. */
  readonly share_of_core_pct: number
}

export interface OrderReport {
  readonly rate: number
  readonly costs: readonly OrderCost[]
}

export async function benchOrder(environment: BenchEnvironment, options: OrderBenchOptions): Promise<OrderReport> {
  const costs: OrderCost[] = []
  for (const padBytes of [0, PAD_BYTES]) costs.push(await measure(environment, options, padBytes))
  return { rate: options.rate, costs }
}

async function measure(
  environment: BenchEnvironment,
  options: OrderBenchOptions,
  padBytes: number,
): Promise<OrderCost> {
  const { kafka, progress } = environment
  const run = `bench-${randomBytes(4).toString('hex')}`
  const topics = namedAfter(run, REFINE_TOPICS)
  const sequencerTopics = namedAfter(run, SEQUENCER_TOPICS)
  const admin = await kafka.admin()
  // The extents are in both.
  const own = declared(sequencerTopics, SEQUENCER_TOPICS).filter(({ name }) => name !== topics.extents)
  await admin.ensureTopics([...declared(topics, REFINE_TOPICS), ...own])
  await admin.close()
  const end = new AbortController()
  const load = offer(environment, topics.raw, options.rate, padBytes, end.signal)
  const noLoad = load.then((): never => {
    throw new BenchError('NO_LOAD', 'the load ended before the measurement')
  })
  noLoad.catch(() => undefined)
  const worker = (role: string, refine: boolean, windows: readonly boolean[]): Promise<OrderWindow[]> =>
    Promise.race([
      noLoad,
      runWorker(
        environment,
        run,
        { topics, sequencerTopics, refine, windows, windowMs: options.seconds * 1_000 },
        (window) => progress(`${role}: ${describeWindow(window)}`),
      ),
    ])
  try {
    // The first window of each kind warms up.
    const pairs = Array.from({ length: options.rounds + 1 }, () => [false, true]).flat()
    const beside = (await worker('refine', true, pairs)).slice(2)
    const kept = Array.from({ length: options.rounds + 1 }, () => true)
    const [, alone] = await Promise.all([
      worker(
        'refine',
        true,
        kept.map(() => false),
      ),
      worker('sequencer alone', false, kept),
    ])
    end.abort()
    return costOf(beside, alone.slice(1), (await load).bytesPerReading)
  } finally {
    end.abort()
    await load.catch(() => undefined)
  }
}

const describeWindow = ({ sequencer, consumed, transactions, seconds, cpuSeconds }: OrderWindow): string =>
  `${Math.round(consumed / seconds).toLocaleString('en')} readings/s, ${(transactions / seconds).toFixed(1)} transactions/s of ${sequencer ? 'a' : 'no'} sequencer, ${((cpuSeconds / seconds) * 100).toFixed(1)} % CPU`

function costOf(beside: readonly OrderWindow[], alone: readonly OrderWindow[], bytesPerReading: number): OrderCost {
  const off = totalOf(beside.filter(({ sequencer }) => !sequencer))
  const on = totalOf(beside.filter(({ sequencer }) => sequencer))
  const own = totalOf(alone)
  const rounded = (value: number, digits: number): number => Number(value.toFixed(digits))
  const perReading = ({ cpuSeconds, consumed }: typeof off): number => rounded((cpuSeconds * 1e6) / consumed, 2)
  return {
    reading_bytes: Math.round(bytesPerReading),
    refined_per_s: Math.round(off.consumed / off.seconds),
    refined_per_s_with_sequencer: Math.round(on.consumed / on.seconds),
    throughput_ratio: rounded(on.consumed / on.seconds / (off.consumed / off.seconds), 3),
    cpu_us_per_reading: perReading(off),
    cpu_us_per_reading_with_sequencer: perReading(on),
    transactions_per_s: rounded(own.transactions / own.seconds, 1),
    extents_per_s: rounded(own.extents / own.seconds, 1),
    cpu_us_per_transaction: Math.round((own.cpuSeconds * 1e6) / own.transactions),
    cpu_us_per_extent: Math.round((own.cpuSeconds * 1e6) / own.extents),
    share_of_core_pct: rounded((own.cpuSeconds / own.seconds) * 100, 2),
  }
}

function totalOf(windows: readonly OrderWindow[]) {
  const total = { seconds: 0, cpuSeconds: 0, consumed: 0, transactions: 0, extents: 0 }
  for (const name of Object.keys(total) as (keyof typeof total)[])
    for (const window of windows) total[name] += window[name]
  return total
}

/** Sends readings at a steady rate until the signal fires. */
async function offer(
  { kafka, readingSchemaId }: BenchEnvironment,
  topic: string,
  rate: number,
  padBytes: number,
  signal: AbortSignal,
): Promise<{ bytesPerReading: number }> {
  const producer = await kafka.producer()
  const options = { records: Infinity, sensors: PER_ROUND, partitions: PARTITIONS, seed: 1, schemaId: readingSchemaId }
  const load = rounds(
    { ...options, outOfOrder: 0.02, duplicates: 0.007, perRound: PER_ROUND, padBytes },
    Date.now() - 86_400_000,
  )
  const startedAt = performance.now()
  let sent = 0
  let bytes = 0
  try {
    for (const builders of load) {
      if (signal.aborted) break
      const batches = builders.flatMap((records, partition) =>
        records.count === 0 ? [] : [{ topic, partition, records }],
      )
      await producer.send(batches)
      for (const { records } of batches) {
        sent += records.count
        bytes += records.byteLength
      }
      const aheadMs = (sent / rate) * 1_000 - (performance.now() - startedAt)
      if (aheadMs > 0) await delay(aheadMs)
    }
  } finally {
    await producer.close()
  }
  return { bytesPerReading: bytes / sent }
}

async function runWorker(
  { brokers, registryUrl }: BenchEnvironment,
  run: string,
  input: OrderWorkerInput,
  onWindow: (window: OrderWindow) => void,
): Promise<OrderWindow[]> {
  const windows: OrderWindow[] = []
  const child = spawn(process.execPath, [WORKER, JSON.stringify(input)], {
    env: {
      PATH: process.env.PATH,
      NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
      KAFKA_BROKERS: brokers,
      REGISTRY_URL: registryUrl,
      REFINE_GROUP: run,
      SEQUENCER_GROUP: `${run}-order`,
      LOG_LEVEL: 'error',
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = new Promise<number | null>((resolve, reject) => {
    child.on('exit', resolve)
    child.on('error', reject)
  })
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      windows.push(JSON.parse(line) as OrderWindow)
      onWindow(windows.at(-1)!)
    }
    const code = await exited
    if (code !== 0) throw new BenchError('WORKER_FAILED', `the measured process ended with ${code}`)
    return windows
  } finally {
    child.kill()
  }
}

const namedAfter = <T extends RefineTopics | SequencerTopics>(run: string, topics: T): T =>
  Object.fromEntries(Object.keys(topics).map((role) => [role, `${run}.${role}`])) as unknown as T

/** The same settings as the pipeline's own topics. */
const declared = <T extends RefineTopics | SequencerTopics>(topics: T, as: T) =>
  (Object.keys(topics) as (keyof T)[]).map((role) => {
    const { configs, partitioning } = topicSpec(as[role] as string)
    return { name: topics[role] as string, partitions: partitioning === 'one' ? 1 : PARTITIONS, configs }
  })
