// Whether the snapshot that refine's committed offset names is there: without it refine cannot restore its state, and its
// partition stops at the next restart, although nothing is missing yet. A tombstone, or a record put in its place, shows.
import { DecodeError, FramedDecoder } from '../platform/codec/framed-decoder.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { KafkaError, messageOf, PlumblineError } from '../platform/errors.ts'
import type { Admin, OffsetRange, RangeReader } from '../platform/kafka/port.ts'
import { RAW, SNAPSHOTS } from '../schemas/topics.ts'
import { Findings } from './core/findings.ts'
import { type RefineState, refineState, type SnapshotPlace } from './inputs.ts'

interface Chunk {
  readonly id: string
  readonly index: number
}

export interface SnapshotContext {
  readonly admin: Admin
  readonly reader: RangeReader
  readonly fetchSchema: FetchSchema
  readonly group: string
}

export async function judgeSnapshots(
  context: SnapshotContext,
  refine: readonly RefineState[],
  findings: Findings,
): Promise<void> {
  const { admin, group } = context
  if (refine.every(({ snapshot }) => snapshot === null)) return
  const ranges = (await admin.listTopics()).includes(SNAPSHOTS) ? await admin.offsetRanges(SNAPSHOTS) : []
  for (const [partition, { snapshot }] of refine.entries()) {
    if (snapshot === null) continue
    const problem = await problemOf(context, partition, snapshot, ranges[partition])
    if (problem === null) continue
    // A running refine may have replaced it, and compaction removed it, in the meantime.
    const now = (await admin.committedOffsets(group, RAW))[partition] ?? null
    if (refineState(partition, now, true, new Findings()).snapshot?.id !== snapshot.id) continue
    findings.problem(
      'SNAPSHOT_MISSING',
      `${SNAPSHOTS}/${partition} offset ${snapshot.offset}: ${problem}; refine cannot restore partition ${partition} from it`,
    )
  }
}

/** Null: the snapshot is whole. */
async function problemOf(
  { reader, fetchSchema }: SnapshotContext,
  partition: number,
  { offset, chunks, id }: SnapshotPlace,
  range: OffsetRange | undefined,
): Promise<string | null> {
  const end = offset + chunks
  if (range === undefined) return `there is no such partition`
  if (range.start > offset || range.end < end) return `snapshot ${id} is not there`
  const decoder = new FramedDecoder<Chunk>('snapshot', fetchSchema)
  const found = new Set<number>()
  try {
    await reader.read({ topic: SNAPSHOTS, partition }, offset, end, async ({ batches }) => {
      for (const batch of batches)
        for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
          const chunk = await decoder.decode(batch.value(i) ?? Buffer.alloc(0))
          if (chunk.id === id) found.add(chunk.index)
        }
    })
  } catch (error) {
    if (error instanceof DecodeError) return `a chunk of snapshot ${id} cannot be read: ${error.message}`
    // The registry or the broker cannot be asked: said elsewhere, and nothing is known of the snapshot.
    if (error instanceof PlumblineError && !(error instanceof KafkaError && error.code === 'OFFSET_OUT_OF_RANGE'))
      return null
    return messageOf(error)
  }
  return found.size === chunks ? null : `snapshot ${id} has ${found.size} of ${chunks} chunks`
}
