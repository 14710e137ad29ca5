// The sequencer as a service: a member of the group of sequencers, built anew when the client's consumer ends for good,
// which it can after one lost answer. What is fatal ends the service with its reason.
import { backoffMs } from '../../../platform/backoff.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Config } from '../../../platform/config.ts'
import { KafkaError, messageOf } from '../../../platform/errors.ts'
import type { Admin, Kafka, RangeReader } from '../../../platform/kafka/port.ts'
import { Tails } from '../../../platform/kafka/tails.ts'
import { aborted } from '../../../platform/lifecycle.ts'
import type { Logger } from '../../../platform/log.ts'
import { FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import type { FetchSchema } from '../../../platform/codec/register.ts'
import { ownFirst } from '../../own-schemas.ts'
import { EXTENTS, NODES, ORDER, VIEWS } from '../../../schemas/topics.ts'
import { SequencerMember } from './member.ts'
import type { SequencerObserver } from './observe.ts'
import type { SequencerStep, SequencerTopics } from './sequencer.ts'

const TRANSACTION_TIMEOUT_MS = 10_000
/**
 * The broker holds a fetch back until it has so many bytes, which is never but in a backlog, or for so long: this is the
 * beat of the transactions, and what the order costs follows from it.
 */
const FETCH_MIN_BYTES = 64 * 1024
const FETCH_WAIT_MS = 200
/** Per partition and fetch: some 1,500 extents, so one transaction of a backlog stays small. */
const FETCH_PARTITION_BYTES = 128 * 1024
const REBUILD = { baseMs: 200, capMs: 10_000 }
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
  try {
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const started = clock.mono()
      const error = await runMember(deps, admin, reader, signal, onMember)
      if (error === null) return
      if (error.code === 'OFFSET_OUT_OF_RANGE') throw error
      log.error({ err: error }, 'the sequencer’s consumer has ended; recreating it')
      if (clock.mono() - started > 60_000) attempt = 0
      await clock.sleep(backoffMs(REBUILD, attempt, random), signal).catch(() => undefined)
    }
  } finally {
    await Promise.allSettled([admin.close(), reader.close()])
  }
}

/** After a fatal error the order is tried again after so long: what is wrong may have been repaired, ms. */
const STOPPED = { baseMs: 5_000, capMs: 60_000 }

/**
 * Runs the sequencer beside other parts of a process: what is fatal for the order (an extent that contradicts it, extents
 * that retention has removed) stops the order and nothing else.
 * @param onStopped called with the reason, and with null when it is tried again
 */
export async function runSequencerApart(
  deps: SequencerServiceDeps,
  signal: AbortSignal,
  onMember: (member: SequencerMember) => void,
  onStopped: (error: Error | null) => void,
): Promise<void> {
  const { clock, random, log } = deps
  for (let attempt = 0; !signal.aborted; attempt += 1) {
    try {
      await runSequencer(deps, signal, onMember)
      return
    } catch (error) {
      const cause = error instanceof Error ? error : new Error(messageOf(error))
      log.error({ err: cause }, 'the order has stopped; refinement is not affected')
      onStopped(cause)
      await clock.sleep(backoffMs(STOPPED, attempt, random), signal).catch(() => undefined)
    }
  }
}

/** One life of the group member. Returns the error that ended it, or null after a clean stop; throws what is fatal. */
async function runMember(
  deps: SequencerServiceDeps,
  admin: Admin,
  reader: RangeReader,
  signal: AbortSignal,
  onMember: (member: SequencerMember) => void,
): Promise<KafkaError | null> {
  const { config, kafka, log, topics } = deps
  const ended = new AbortController()
  const end = AbortSignal.any([signal, ended.signal])
  let crash: KafkaError | null = null
  let fatal: Error | null = null
  const consumer = kafka.groupConsumer({
    group: config.SEQUENCER_GROUP,
    topics: [topics.extents],
    maxWaitMs: FETCH_WAIT_MS,
    minBytes: FETCH_MIN_BYTES,
    maxBytesPerPartition: FETCH_PARTITION_BYTES,
    sessionTimeoutMs: config.SEQUENCER_SESSION_MS,
    assignment: { claim: () => member.claim() },
  })
  const member = new SequencerMember({
    ...memberDeps(deps, admin, reader),
    consumer,
    onFatal: (error) => {
      fatal ??= error
      ended.abort()
    },
  })
  onMember(member)
  try {
    await consumer.run({
      onAssigned: (partitions, generation) => member.assign(partitions, generation),
      onBatch: (fetched, context) => member.onBatch(fetched, context),
      onHeartbeat: () => member.confirm(),
      onCrash: (error) => {
        crash = error instanceof KafkaError ? error : new KafkaError('CRASH', error.message, { cause: error })
        ended.abort()
      },
    })
    await Promise.all([aborted(end), watchProgress(member, deps, admin, reader, end)])
  } catch (error) {
    if (!(error instanceof KafkaError)) throw error
    crash = error
  } finally {
    ended.abort()
    await member.stop()
    await consumer.close().catch((error: unknown) => log.warn({ err: error }, 'the sequencer did not leave cleanly'))
  }
  if (fatal !== null) throw fatal as Error
  return crash
}

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
    settings: {
      group: config.SEQUENCER_GROUP,
      topics,
      orderSchemaId: schemaIds.get(ORDER)!,
      viewSchemaId: schemaIds.get(VIEWS)!,
    },
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

/** Compares positions with the ends of the partitions, from outside of the fetch loop, which may be what hangs. */
async function watchProgress(
  member: SequencerMember,
  { clock, log, observer, topics }: SequencerServiceDeps,
  admin: Admin,
  reader: RangeReader,
  signal: AbortSignal,
): Promise<void> {
  const tails = new Tails(reader)
  while (!signal.aborted) {
    await clock.sleep(PROGRESS_MS, signal).catch(() => undefined)
    const active = member.active()
    if (signal.aborted || active === null) continue
    try {
      const ranges = await admin.offsetRanges(topics.extents)
      for (const partition of active.sequence.partitions()) {
        const { position } = active.sequence.reached(partition)
        const { end } = ranges[partition]
        // Refine's transactions end in markers, which no consumer is ever handed.
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
