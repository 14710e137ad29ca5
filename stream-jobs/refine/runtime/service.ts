// Refine as a service: a member of the consumer group with its tasks. When the client's consumer ends for good, which
// it can after one lost answer, the member is built anew; what is fatal ends the service with its reason.
import type { Clock } from '../../../platform/clock.ts'
import type { Config } from '../../../platform/config.ts'
import { backoffMs } from '../../../platform/backoff.ts'
import { KafkaError } from '../../../platform/errors.ts'
import type { Admin, Kafka, Producer, RangeReader } from '../../../platform/kafka/port.ts'
import { aborted } from '../../../platform/lifecycle.ts'
import type { Logger } from '../../../platform/log.ts'
import { ANOMALIES, CONFIG_ACKS, EXTENTS, type RefineTopics, SNAPSHOTS } from '../../../schemas/topics.ts'
import { ownFirst } from '../../own-schemas.ts'
import { RefineConfiguration } from './configuration.ts'
import type { RefineObserver } from './observe.ts'
import { type FetchSchema, SchemaPlans } from './plans.ts'
import type { CommitStep } from './task.ts'
import { Tasks } from './tasks.ts'
import { Troubles } from './troubles.ts'
import { untilTopicsFit, watch } from './watch.ts'

/** A transaction that hangs holds back everything behind it on its partitions; this is how long at most, ms. */
const TRANSACTION_TIMEOUT_MS = 10_000
/** A fetch is answered at once when it has this much; below it the commit interval is what bounds the wait. */
const FETCH_MIN_BYTES = 256 * 1024
/** Per partition and fetch: enough records to carry a transaction's requests at little cost each. */
const FETCH_PARTITION_BYTES = 2 * 1024 * 1024
const REBUILD = { baseMs: 200, capMs: 10_000 }

export interface RefineDeps {
  readonly config: Config
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly observer: RefineObserver
  readonly fetchSchema: FetchSchema
  readonly topics: RefineTopics
  /** Schema ids by declared topic. */
  readonly schemaIds: ReadonlyMap<string, number>
  readonly onStep?: (step: CommitStep, partition: number) => void
  /** What keeps partitions from moving, for readiness. */
  readonly troubles?: Troubles
  /** Absent where settings never change (benchmarks). */
  readonly configuration?: RefineConfiguration
}

/**
 * Runs until the signal fires.
 * @param onTasks called with the tasks of each life of the member, for readiness
 * @throws FatalRestoreError, KafkaError OFFSET_OUT_OF_RANGE
 */
export async function runRefine(deps: RefineDeps, signal: AbortSignal, onTasks: (tasks: Tasks) => void): Promise<void> {
  const { kafka, clock, random, log, schemaIds } = deps
  const troubles = deps.troubles ?? new Troubles()
  // Both outlive the member: acquiring a partition again must not need the registry for what is known.
  const fetchSchema = ownFirst(schemaIds, deps.fetchSchema)
  const plans = new SchemaPlans(fetchSchema, () => clock.mono())
  const configuration = deps.configuration ?? new RefineConfiguration(deps.config, null)
  const admin = await kafka.admin()
  const reader = await kafka.rangeReader()
  const controls = await kafka.producer()
  let tasks: Tasks | null = null
  const acknowledging = { clock, log, producer: controls, schemaId: schemaIds.get(CONFIG_ACKS)! }
  const ended = new AbortController()
  const reporting = configuration.report(() => tasks, acknowledging, AbortSignal.any([signal, ended.signal]))
  try {
    await configuration.begin(clock, () => void tasks?.configure())
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      await untilTopicsFit({ ...deps, admin, troubles }, signal)
      const started = clock.mono()
      const lasting = { configuration, troubles, plans, fetchSchema }
      const error = await runMember({ ...deps, ...lasting }, { admin, reader, controls }, signal, (running) => {
        tasks = running
        onTasks(running)
      })
      if (error === null) return
      if (error.code === 'OFFSET_OUT_OF_RANGE') throw error
      if (error.code === 'PARTITIONS_DIFFER') continue
      log.error({ err: error }, 'the consumer has ended; recreating it')
      if (clock.mono() - started > 60_000) attempt = 0
      await clock.sleep(backoffMs(REBUILD, attempt, random), signal).catch(() => undefined)
    }
  } finally {
    ended.abort()
    await reporting
    await Promise.allSettled([admin.close(), reader.close(), controls.close()])
  }
}

interface Connections {
  readonly admin: Admin
  readonly reader: RangeReader
  readonly controls: Producer
}

/** What one life of the member hands to the next. */
interface Lasting {
  readonly configuration: RefineConfiguration
  readonly troubles: Troubles
  readonly plans: SchemaPlans
}

/** One life of the group member. Returns the error that ended it, or null after a clean stop; throws what is fatal. */
async function runMember(
  deps: RefineDeps & Lasting,
  connections: Connections,
  signal: AbortSignal,
  onTasks: (tasks: Tasks) => void,
): Promise<KafkaError | null> {
  const { config, kafka, clock, random, log, observer, schemaIds, topics } = deps
  const consumer = kafka.groupConsumer({
    group: config.REFINE_GROUP,
    topics: [topics.raw],
    maxWaitMs: config.REFINE_COMMIT_MS,
    minBytes: FETCH_MIN_BYTES,
    maxBytesPerPartition: FETCH_PARTITION_BYTES,
    sessionTimeoutMs: config.REFINE_SESSION_MS,
    assignment: 'shared',
  })
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  let crash: KafkaError | null = null
  let fatal: Error | null = null
  const tasks = new Tasks({
    ...connections,
    kafka,
    consumer,
    clock,
    random,
    log,
    fetchSchema: deps.fetchSchema,
    plans: deps.plans,
    troubles: deps.troubles,
    settings: {
      group: config.REFINE_GROUP,
      topics,
      snapshotMs: config.REFINE_SNAPSHOT_MS,
      snapshotRecords: config.REFINE_SNAPSHOT_RECORDS,
      extentSchemaId: schemaIds.get(EXTENTS)!,
      snapshotSchemaId: schemaIds.get(SNAPSHOTS)!,
    },
    coreSettings: () => deps.configuration.wanted,
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    anomalySchemaId: schemaIds.get(ANOMALIES)!,
    onCommit: (report) => observer.committed(report),
    onStep: deps.onStep,
    onFatal: (error) => {
      fatal ??= error
      ended.abort()
    },
  })
  onTasks(tasks)
  try {
    deps.configuration.expectPartitions(await connections.admin.partitionCount(topics.raw))
    await consumer.run({
      onAssigned: (partitions, generation) => tasks.assign(partitions, generation),
      onBatch: (fetched, context) => tasks.onBatch(fetched, context),
      onHeartbeat: () => tasks.confirm(),
      onCrash: (error) => {
        crash = error instanceof KafkaError ? error : new KafkaError('CRASH', error.message, { cause: error })
        ended.abort()
      },
    })
    await Promise.all([
      aborted(end),
      tasks.tick(end),
      watch(tasks, { ...deps, ...connections, group: config.REFINE_GROUP }, end, () => {
        crash = new KafkaError('PARTITIONS_DIFFER', 'the topics do not have the same number of partitions any more')
        ended.abort()
      }),
    ])
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    crash = error
  } finally {
    ended.abort()
    await tasks.stop(signal.aborted && fatal === null ? 'clean' : 'failed')
    await consumer.close().catch((error: unknown) => log.warn({ err: error }, 'the consumer did not leave cleanly'))
  }
  if (fatal !== null) throw fatal as Error
  return crash
}
