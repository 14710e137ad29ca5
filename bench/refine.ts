// Measures refine over a backlog: fills a fresh raw topic (or uses an existing one), runs refine on it in a separate
// process, and reports records/s, CPU per record and peak memory. Everything is included: reordering, deduplication,
// scores, counters, snapshots and extents.
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Admin, Kafka } from '../platform/kafka/port.ts'
import { type RefineTopics, REFINE_TOPICS, topicSpec } from '../schemas/topics.ts'
import { rounds } from './readings.ts'
import type { WorkerInput, WorkerResult } from './refine-worker.ts'
import { BenchError } from './errors.ts'

const WORKER = fileURLToPath(new URL('./refine-worker.ts', import.meta.url))
/** Enough for any backlog that anyone would wait for. */
const WORKER_TIMEOUT_MS = 30 * 60_000

export interface RefineBenchOptions {
  readonly records: number
  readonly sensors: number
  readonly partitions: number
  readonly seed: number
  readonly outOfOrder: number
  readonly duplicates: number
  /** An existing topic to read instead of a fresh one. */
  readonly inputTopic: string | undefined
}

export interface RefineReport {
  readonly records: number
  readonly sensors: number | null
  readonly records_per_s: number
  readonly cpu_s_per_million: number
  /** The same without process startup. */
  readonly cpu_s_per_million_warm: number
  readonly peak_rss_mb: number
  readonly seconds: number
  readonly records_per_transaction: number
  readonly outcomes: Readonly<Record<string, number>>
}

export interface BenchEnvironment {
  readonly kafka: Kafka
  readonly brokers: string
  readonly registryUrl: string
  readonly readingSchemaId: number
  readonly progress: (text: string) => void
}

export async function benchRefine(environment: BenchEnvironment, options: RefineBenchOptions): Promise<RefineReport> {
  const { kafka, brokers, registryUrl, progress } = environment
  const admin = await kafka.admin()
  try {
    const run = `bench-${randomBytes(4).toString('hex')}`
    const topics = { ...namedAfter(run), ...(options.inputTopic === undefined ? {} : { raw: options.inputTopic }) }
    const partitions =
      options.inputTopic === undefined ? options.partitions : await partitionsOf(admin, options.inputTopic)
    await createTopics(admin, topics, partitions, options.inputTopic === undefined)
    if (options.inputTopic === undefined) await fill(environment, topics.raw, partitions, options)
    const ranges = await admin.offsetRanges(topics.raw)
    const records = ranges.map(({ start, end }) => end - start)
    const total = records.reduce((sum, count) => sum + count, 0)
    if (total === 0)
      throw new BenchError('EMPTY_TOPIC', `${topics.raw} has no records: fill it first, or leave --input-topic away`)
    progress(`refine over ${total.toLocaleString('en')} records`)
    const result = await runWorker(
      { topics, records },
      { KAFKA_BROKERS: brokers, REGISTRY_URL: registryUrl, REFINE_GROUP: run, LOG_LEVEL: 'warn' },
    )
    return {
      records: result.records,
      sensors: options.inputTopic === undefined ? options.sensors : null,
      records_per_s: Math.round(result.records / result.seconds),
      cpu_s_per_million: perMillion(result.cpuSeconds, result.records),
      cpu_s_per_million_warm: perMillion(result.cpuSeconds - result.startCpuSeconds, result.records),
      peak_rss_mb: Math.round(result.peakRssBytes / 1_048_576),
      seconds: Number(result.seconds.toFixed(2)),
      records_per_transaction: Math.round(result.records / result.commits),
      outcomes: result.outcomes,
    }
  } finally {
    await admin.close()
  }
}

const perMillion = (seconds: number, records: number): number => Number(((seconds / records) * 1e6).toFixed(2))

function namedAfter(run: string): RefineTopics {
  return Object.fromEntries(
    Object.keys(REFINE_TOPICS).map((role) => [role, `${run}.${role}`]),
  ) as unknown as RefineTopics
}

async function partitionsOf(admin: Admin, topic: string): Promise<number> {
  if (!(await admin.listTopics()).includes(topic))
    throw new BenchError('NO_SUCH_TOPIC', `there is no topic ${topic}; \`plumbline topics list\` shows what there is`)
  return admin.partitionCount(topic)
}

/** The same settings as the pipeline's own topics. */
async function createTopics(admin: Admin, topics: RefineTopics, partitions: number, withRaw: boolean): Promise<void> {
  const roles = (Object.keys(topics) as (keyof RefineTopics)[]).filter((role) => withRaw || role !== 'raw')
  await admin.ensureTopics(
    roles.map((role) => ({ name: topics[role], partitions, configs: topicSpec(REFINE_TOPICS[role]).configs })),
  )
}

async function fill(
  { kafka, readingSchemaId, progress }: BenchEnvironment,
  topic: string,
  partitions: number,
  options: RefineBenchOptions,
): Promise<void> {
  const producer = await kafka.producer()
  const startTs = Date.now() - 86_400_000
  let sent = 0
  let shown = performance.now()
  for (const builders of rounds({ ...options, partitions, schemaId: readingSchemaId }, startTs)) {
    const batches = builders.flatMap((records, partition) =>
      records.count === 0 ? [] : [{ topic, partition, records }],
    )
    await producer.send(batches)
    for (const { records } of batches) sent += records.count
    if (performance.now() - shown > 1_000) {
      shown = performance.now()
      progress(`filling ${topic}: ${sent.toLocaleString('en')} of ${options.records.toLocaleString('en')} records`)
    }
  }
  await producer.close()
}

async function runWorker(input: WorkerInput, env: Record<string, string>): Promise<WorkerResult> {
  const { stdout } = await promisify(execFile)(process.execPath, [WORKER, JSON.stringify(input)], {
    // As `up` starts it: with the cache of compiled code that bin/plumbline names.
    env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE, ...env },
    timeout: WORKER_TIMEOUT_MS,
    maxBuffer: 16 * 1_048_576,
  })
  return JSON.parse(stdout) as WorkerResult
}
