// Refine as a service: a member of the consumer group with its tasks (see group-member.ts), and what outlives the
// member: connections, schema plans, the configuration. What is fatal ends the service with its reason.
import type { Clock } from '../../../platform/clock.ts'
import type { Config } from '../../../platform/config.ts'
import type { KafkaError } from '../../../platform/errors.ts'
import { type LifeEnds, type MemberLife, runGroupMember } from '../../../platform/kafka/group-member.ts'
import type { Admin, Kafka, Producer, RangeReader } from '../../../platform/kafka/port.ts'
import type { Logger } from '../../../platform/log.ts'
import { ANOMALIES, CONFIG_ACKS, EXTENTS, type RefineTopics, SNAPSHOTS } from '../../../schemas/topics.ts'
import { ownFirst } from '../../own-schemas.ts'
import { RefineConfiguration } from './configuration.ts'
import type { RefineObserver } from './observe.ts'
import type { FetchHighest } from '../../../platform/codec/register.ts'
import { type FetchSchema, SchemaPlans } from './plans.ts'
import type { CommitStep } from './task.ts'
import { Tasks } from './tasks.ts'
import { Troubles } from './troubles.ts'
import { untilTopicsFit, watch } from './watch.ts'

/** A hanging transaction holds back everything after it on its partitions for at most this long, ms. */
export const TRANSACTION_TIMEOUT_MS = 10_000
/** A fetch is answered at once when it has this much; below that the commit interval bounds the wait. */
const FETCH_MIN_BYTES = 256 * 1024
/** Per partition and fetch: enough records to carry a transaction's requests at little cost each. */
const FETCH_PARTITION_BYTES = 2 * 1024 * 1024
const RECREATE = { baseMs: 200, capMs: 10_000 }

export interface RefineDeps {
  readonly config: Config
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly observer: RefineObserver
  readonly fetchSchema: FetchSchema
  /** The registry's greatest schema id; without it every unknown id is asked for. */
  readonly fetchHighest?: FetchHighest
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
  const plans = new SchemaPlans(fetchSchema, clock, deps.fetchHighest)
  const configuration = deps.configuration ?? new RefineConfiguration(deps.config, null)
  const admin = await kafka.admin()
  const reader = await kafka.rangeReader()
  const controls = await kafka.producer()
  const lasting = { ...deps, configuration, troubles, plans, fetchSchema, admin, reader, controls }
  let tasks: Tasks | null = null
  const acknowledging = { clock, log, producer: controls, schemaId: schemaIds.get(CONFIG_ACKS)! }
  const ended = new AbortController()
  const reporting = configuration.report(() => tasks, acknowledging, AbortSignal.any([signal, ended.signal]))
  try {
    await configuration.begin(clock, () => void tasks?.configure())
    const live = (ends: LifeEnds): MemberLife =>
      beginLife(lasting, ends, (begun) => {
        tasks = begun
        onTasks(begun)
      })
    const beforeLife = (): Promise<void> => untilTopicsFit(lasting, signal)
    const isFatal = ({ code }: KafkaError): boolean => code === 'OFFSET_OUT_OF_RANGE'
    const name = 'the consumer'
    await runGroupMember({ clock, random, log, name, backoff: RECREATE, live, beforeLife, isFatal }, signal)
  } finally {
    ended.abort()
    await reporting
    await Promise.allSettled([admin.close(), reader.close(), controls.close()])
  }
}

/** What one life of the member passes to the next. */
interface Lasting extends RefineDeps {
  readonly configuration: RefineConfiguration
  readonly troubles: Troubles
  readonly plans: SchemaPlans
  readonly admin: Admin
  readonly reader: RangeReader
  readonly controls: Producer
}

function beginLife(deps: Lasting, { fail, renew }: LifeEnds, onTasks: (tasks: Tasks) => void): MemberLife {
  const { config, kafka, observer, topics } = deps
  const consumer = kafka.groupConsumer({
    group: config.REFINE_GROUP,
    topics: [topics.raw],
    maxWaitMs: config.REFINE_COMMIT_MS,
    minBytes: FETCH_MIN_BYTES,
    maxBytesPerPartition: FETCH_PARTITION_BYTES,
    sessionTimeoutMs: config.REFINE_SESSION_MS,
    assignment: 'shared',
  })
  const tasks = new Tasks({
    ...deps,
    consumer,
    settings: settingsOf(deps),
    coreSettings: () => deps.configuration.wanted,
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    anomalySchemaId: deps.schemaIds.get(ANOMALIES)!,
    onCommit: (report) => observer.committed(report),
    onFatal: fail,
  })
  onTasks(tasks)
  return {
    consumer,
    handlers: {
      onAssigned: (partitions, generation) => tasks.assign(partitions, generation),
      onBatch: (fetched, context) => tasks.onBatch(fetched, context),
      onHeartbeat: () => tasks.confirm(),
    },
    prepare: async () => deps.configuration.expectPartitions(await deps.admin.partitionCount(topics.raw)),
    // The topics may not have the same number of partitions any more: the next life waits until they do.
    beside: (end) => Promise.all([tasks.tick(end), watch(tasks, { ...deps, group: config.REFINE_GROUP }, end, renew)]),
    release: (how) => tasks.stop(how),
  }
}

export const settingsOf = ({ config, topics, schemaIds }: Pick<RefineDeps, 'config' | 'topics' | 'schemaIds'>) => ({
  group: config.REFINE_GROUP,
  topics,
  snapshotMs: config.REFINE_SNAPSHOT_MS,
  snapshotRecords: config.REFINE_SNAPSHOT_RECORDS,
  extentSchemaId: schemaIds.get(EXTENTS)!,
  snapshotSchemaId: schemaIds.get(SNAPSHOTS)!,
})
