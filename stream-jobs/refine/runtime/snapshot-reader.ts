// Reads a snapshot back from refine.snapshots: all chunks of one id, decoded by the schema they were written with, so
// that a newer version of Plumbline can take over from an older one.
import type { RangeReader, TopicPartition } from '../../../platform/kafka/port.ts'
import { DecodeError, FramedDecoder } from '../../../platform/codec/framed-decoder.ts'
import type { SnapshotChunk } from '../core/snapshot.ts'
import { FatalRestoreError } from './fatal.ts'
import type { FetchSchema } from './plans.ts'

/** Which snapshot, as the committed offset's metadata names it. */
export interface SnapshotPlace {
  readonly offset: number
  readonly chunks: number
  readonly id: string
}

/**
 * @param at the partition of refine.snapshots
 * @returns the chunks in order
 * @throws FatalRestoreError SNAPSHOT_INCOMPLETE, SNAPSHOT_UNREADABLE, SCHEMA_GONE
 */
export async function readSnapshot(
  reader: RangeReader,
  fetchSchema: FetchSchema,
  at: TopicPartition,
  { offset, chunks, id }: SnapshotPlace,
): Promise<SnapshotChunk[]> {
  const found = new Map<number, SnapshotChunk>()
  const decoder = new FramedDecoder<SnapshotChunk>('snapshot', fetchSchema)
  await reader.read(at, offset, offset + chunks, async ({ batches }) => {
    for (const batch of batches) {
      for (let i = 0; i < batch.count; i += 1) {
        const value = batch.value(i)
        if (value === null || batch.offset(i) >= offset + chunks) continue
        const chunk = await decoder.decode(value).catch(throwFatal)
        if (chunk.id === id) found.set(chunk.index, chunk)
      }
    }
  })
  const ordered = Array.from({ length: chunks }, (_, index) => found.get(index))
  if (ordered.some((chunk) => chunk === undefined)) {
    throw new FatalRestoreError(
      'SNAPSHOT_INCOMPLETE',
      `snapshot ${id} of partition ${at.partition} has ${found.size} of ${chunks} chunks from offset ${offset} of ${at.topic} on`,
      { ...at, offset },
    )
  }
  return ordered as SnapshotChunk[]
}

/** Unreadable data stay unreadable, but an unavailable registry may come back. */
function throwFatal(error: unknown): never {
  if (!(error instanceof DecodeError)) throw error
  throw new FatalRestoreError(
    error.code === 'SCHEMA_UNKNOWN' ? 'SCHEMA_GONE' : 'SNAPSHOT_UNREADABLE',
    `a snapshot cannot be read, ${error.message}: bring the registry's _schemas topic back as it was`,
    { cause: error },
  )
}
