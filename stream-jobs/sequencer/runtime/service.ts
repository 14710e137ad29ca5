// The sequencer as a service: a member of the group of sequencers (see group-member.ts). What is fatal ends the service
// with its reason; next to refine it ends only the order, which is retried later.
import type { Clock } from '../../../platform/clock.ts'
import type { Config } from '../../../platform/config.ts'
import { type KafkaError, messageOf } from '../../../platform/errors.ts'
import { type LifeEnds, type MemberLife, runGroupMember } from '../../../platform/kafka/group-member.ts'
import type { Admin, Kafka, RangeReader } from '../../../platform/kafka/port.ts'
import { Tails } from '../../../platform/kafka/tails.ts'
import type { Logger } from '../../../platform/log.ts'
import { pause, retryWhile } from '../../../platform/retry.ts'
import { FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import type { FetchSchema } from '../../../platform/codec/register.ts'
import { ownFirst } from '../../own-schemas.ts'
import { EXTENTS, NODES, ORDER, VIEWS } from '../../../schemas/topics.ts'
import { SequencerMember } from './member.ts'
import type { SequencerObserver } from './observe.ts'
import type { SequencerSettings, SequencerStep, SequencerTopics } from './sequencer.ts'

const TRANSACTION_TIMEOUT_MS = 10_000
/**
 * The broker holds back a fetch until it has this many bytes (only in a backlog) or for this long: this is the
 * pace of the transactions, and the cost of the order follows from it.
 */
const FETCH_MIN_BYTES = 64 * 1024
const FETCH_WAIT_MS = 200
/** Per partition and fetch: some 1,500 extents, so one transaction of a backlog stays small. */
const FETCH_PARTITION_BYTES = 128 * 1024
const RECREATE = { baseMs: 200, capMs: 10_000 }
const PROGRESS_MS = 5_000

export const SEQUENCER_TOPICS: SequencerTopics = { extents: EXTENTS, order: ORDER, nodes: NODES, views: VIEWS }

export interface SequencerServiceDeps {
  readonly config: Config
  readonly kafka: Kafka
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  readonly observer: SequencerObserver
  readonly fetchSchema: FetchSchema
  readonly topics: SequencerTopics
  /** Schema ids by declared topic. */
  readonly schemaIds: ReadonlyMap<string, number>
  /** This process in the views. */
  readonly memberId: string
  readonly onStep?: (step: SequencerStep) => void
}

/**
 * Runs until the signal fires.
 * @param onMember called with each life of the member, for readiness
 * @throws FatalRestoreError, ExtentError, DecodeError, KafkaError OFFSET_OUT_OF_RANGE
 */
export async function runSequencer(
  deps: SequencerServiceDeps,
  signal: AbortSignal,
  onMember: (member: SequencerMember) => void,
): Promise<void> {
  const { kafka, clock, random, log } = deps
  const admin = await kafka.admin()
  const reader = await kafka.rangeReader()
  const live = (ends: LifeEnds): MemberLife => beginLife(deps, admin, reader, ends, onMember)
  const isFatal = ({ code }: KafkaError): boolean => code === 'OFFSET_OUT_OF_RANGE'
  try {
    await runGroupMember(
      { clock, random, log, name: 'the sequencer’s consumer', backoff: RECREATE, live, isFatal },
      signal,
    )
  } finally {
    await Promise.allSettled([admin.close(), reader.close()])
  }
}

/** After a fatal error the order is retried after this time, ms: the cause may have been repaired. */
const STOPPED = { baseMs: 5_000, capMs: 60_000 }

/**
 * Runs the sequencer beside other parts of a process: what is fatal for the order (an extent that contradicts it, extents
 * that retention has removed) stops only the order.
 * @param onStopped called with the reason, and with null when it is retried
 */
export async function runSequencerApart(
  deps: SequencerServiceDeps,
  signal: AbortSignal,
  onMember: (member: SequencerMember) => void,
  onStopped: (error: Error | null) => void,
): Promise<void> {
  const { clock, random, log } = deps
  await retryWhile(
    () => true,
    () => runSequencer(deps, signal, onMember),
    {
      backoff: STOPPED,
      clock,
      random,
      signal,
      isRetriable: () => true,
      onFailure: (error) => {
        const cause = error instanceof Error ? error : new Error(messageOf(error))
        log.error({ err: cause }, 'the order has stopped; refinement is not affected')
        onStopped(cause)
      },
    },
  )
}

function beginLife(
  deps: SequencerServiceDeps,
  admin: Admin,
  reader: RangeReader,
  { fail }: LifeEnds,
  onMember: (member: SequencerMember) => void,
): MemberLife {
  const { config, kafka, topics } = deps
  const consumer = kafka.groupConsumer({
    group: config.SEQUENCER_GROUP,
    topics: [topics.extents],
    maxWaitMs: FETCH_WAIT_MS,
    minBytes: FETCH_MIN_BYTES,
    maxBytesPerPartition: FETCH_PARTITION_BYTES,
    sessionTimeoutMs: config.SEQUENCER_SESSION_MS,
    assignment: { claim: () => member.claim() },
  })
  const member = new SequencerMember({ ...memberDeps(deps, admin, reader), consumer, onFatal: fail })
  onMember(member)
  return {
    consumer,
    handlers: {
      onAssigned: (partitions, generation) => member.assign(partitions, generation),
      onBatch: (fetched, context) => member.onBatch(fetched, context),
      onHeartbeat: () => member.confirm(),
    },
    beside: (end) => watchProgress(member, deps, admin, reader, end),
    release: () => member.stop(),
  }
}

export const settingsOf = ({
  config,
  topics,
  schemaIds,
}: Pick<SequencerServiceDeps, 'config' | 'topics' | 'schemaIds'>): SequencerSettings => ({
  group: config.SEQUENCER_GROUP,
  topics,
  orderSchemaId: schemaIds.get(ORDER)!,
  viewSchemaId: schemaIds.get(VIEWS)!,
})

function memberDeps(deps: SequencerServiceDeps, admin: Admin, reader: RangeReader) {
  const { config, kafka, clock, random, log, observer, topics, schemaIds, memberId, onStep } = deps
  const fetchSchema = ownFirst(schemaIds, deps.fetchSchema)
  return {
    kafka,
    admin,
    reader,
    clock,
    random,
    log,
    settings: settingsOf(deps),
    transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    extents: new FramedDecoder<never>('extent', fetchSchema),
    views: new FramedDecoder<never>('view', fetchSchema),
    viewsDeps: {
      kafka,
      clock,
      random,
      log,
      heartbeats: new FramedDecoder<never>('heartbeat', fetchSchema),
      nodesTopic: topics.nodes,
      leader: memberId,
      heartbeatMs: config.HEARTBEAT_MS,
      timeoutMs: config.HEARTBEAT_TIMEOUT_MS,
    },
    onCommit: observer.committed,
    onActive: observer.active,
    onStep,
  }
}

/** Compares positions with the ends of the partitions, from outside the fetch loop, which may itself hang. */
async function watchProgress(
  member: SequencerMember,
  { clock, log, observer, topics }: SequencerServiceDeps,
  admin: Admin,
  reader: RangeReader,
  signal: AbortSignal,
): Promise<void> {
  const tails = new Tails(reader)
  while (!signal.aborted) {
    await pause(PROGRESS_MS, signal, clock)
    const active = member.active()
    if (signal.aborted || active === null) continue
    try {
      const ranges = await admin.offsetRanges(topics.extents)
      for (const partition of active.sequence.partitions()) {
        const { position } = active.sequence.reached(partition)
        const { end } = ranges[partition]
        // Refine's transactions end in markers, which no consumer ever receives.
        const at = { topic: topics.extents, partition }
        const reached = position < end ? await tails.passable(at, position, end) : position
        member.passTail(active, at, reached)
        if (member.active() === active) observer.progress(partition, reached, end, clock.mono())
      }
    } catch (error) {
      log.warn({ reason: messageOf(error) }, 'the ends of the extents cannot be read')
    }
  }
}
