// How a process becomes the active sequencer, at the same cost however long the order is:
//   1. a new transactional producer runs an empty transaction: the former one's is aborted, and it is fenced
//   2. only then are the committed offsets read; the greatest next sequence in their metadata is the one to continue with
//   3. the last published view is read, since ids grow by one across changes of the leader
// Contradictions here are fatal: continuing would give a reading two places, or none.
import type {
  Admin,
  CommittedOffset,
  Kafka,
  OffsetRange,
  RangeReader,
  TransactionalProducer,
} from '../../../platform/kafka/port.ts'
import type { View } from '../../../platform/membership/cluster-state.ts'
import type { FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import { type Reached, Sequence } from '../core/sequence.ts'
import { FatalRestoreError } from '../../refine/runtime/fatal.ts'
import { decodeReached } from './metadata.ts'
import { Sequencer, type SequencerDeps } from './sequencer.ts'
import type { Logger } from '../../../platform/log.ts'
import { readLastView } from './view-log.ts'

export interface AcquireSequencerDeps extends SequencerDeps {
  readonly kafka: Kafka
  readonly admin: Admin
  readonly reader: RangeReader
  readonly views: FramedDecoder<View>
  readonly transactionTimeoutMs: number
  readonly log: Logger
}

/**
 * Fences the previous sequencer and finds where it ended.
 * @returns the sequencer; nothing is committed yet (see Sequencer.begin)
 * @throws FatalRestoreError when log and offsets contradict each other; others when it may be tried again
 */
export async function acquireSequencer(deps: AcquireSequencerDeps): Promise<Sequencer> {
  const { kafka, settings, transactionTimeoutMs } = deps
  const producer = await kafka.transactionalProducer({ transactionalId: settings.group, transactionTimeoutMs })
  try {
    await producer.fence()
    return await restore(deps, producer)
  } catch (error) {
    await producer.close().catch(() => undefined)
    throw error
  }
}

async function restore(deps: AcquireSequencerDeps, producer: TransactionalProducer): Promise<Sequencer> {
  const { admin, reader, settings, views } = deps
  const { topics, group } = settings
  const committed = await admin.committedOffsets(group, topics.extents)
  const ranges = await admin.offsetRanges(topics.extents)
  const isNew = ranges.every((_, partition) => committed[partition] == null)
  if (isNew) await expectEmptyOrder(admin, topics.order, group)
  const reached = new Map<number, Reached>()
  const missing: number[] = []
  let next = 0
  for (const [partition, range] of ranges.entries()) {
    const at = committed[partition] ?? null
    if (at === null) missing.push(partition)
    if (at !== null || !isNew) expectKept(topics.extents, partition, at, range)
    else if (range.start > 0)
      deps.log.warn(
        { topic: topics.extents, partition, start: range.start },
        `the order is new and retention has removed the first ${range.start} offsets of its extents: it begins without their readings`,
      )
    const metadata = at === null ? null : decodeReached(at.metadata, partition, at.offset)
    next = Math.max(next, metadata?.next_sequence ?? 0)
    reached.set(partition, { position: at?.offset ?? range.start, cleanEnd: metadata?.clean_end ?? 0 })
  }
  const lastView = await readLastView(admin, reader, topics.views, views)
  return new Sequencer(deps, { producer, sequence: new Sequence(next, reached), lastView, missing })
}

/** Nothing reaches the order before an offset is committed, so without one it must be empty. */
async function expectEmptyOrder(admin: Admin, topic: string, group: string): Promise<void> {
  const [{ end }] = await admin.offsetRanges(topic)
  if (end === 0) return
  throw new FatalRestoreError(
    'ORDER_WITHOUT_OFFSET',
    `${topic} is not empty but the group ${group} has no committed offset (an idle group's offsets expire): starting over would number readings twice; set the group's offsets again, or delete ${topic} to start the order over`,
    { topic, offset: end },
  )
}

function expectKept(topic: string, partition: number, at: CommittedOffset | null, { start, end }: OffsetRange): void {
  const offset = at?.offset ?? 0
  if (offset >= start && offset <= end) return
  throw new FatalRestoreError(
    'OFFSET_OUT_OF_RANGE',
    offset < start
      ? `extents partition ${partition} begins at ${start}, after the sequencer's offset ${offset}: extents that are not in the order were removed (retention, or DeleteRecords); plumbline partitions accept-loss ${topic} ${partition} gives their readings places from clean and continues`
      : `extents partition ${partition} ends at ${end}, before the sequencer's offset ${offset}: the topic was recreated without the order`,
    { topic, partition, offset },
  )
}
