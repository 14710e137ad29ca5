// Reads a snapshot back from refine.snapshots: all chunks of one id, decoded by the schema they were written with, so
// that a newer version of Plumbline can take over what an older one has left.
import avsc from 'avsc'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import type { RangeReader, TopicPartition } from '../../platform/kafka/port.ts'
import { type SnapshotChunk, snapshotType } from '../core/snapshot.ts'
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
 * @throws FatalRestoreError SNAPSHOT_INCOMPLETE, SCHEMA_GONE
 */
export async function readSnapshot(
  reader: RangeReader,
  fetchSchema: FetchSchema,
  at: TopicPartition,
  { offset, chunks, id }: SnapshotPlace,
): Promise<SnapshotChunk[]> {
  const found = new Map<number, SnapshotChunk>()
  const resolvers = new Map<number, Promise<unknown>>()
  const resolverOf = (schemaId: number): Promise<unknown> => {
    const known = resolvers.get(schemaId) ?? makeResolver(fetchSchema, schemaId)
    resolvers.set(schemaId, known)
    return known
  }
  await reader.read(at, offset, offset + chunks, async ({ views }) => {
    for (const view of views) {
      for (let i = 0; i < view.count; i += 1) {
        const value = view.value(i)
        if (value === null || view.offset(i) >= offset + chunks) continue
        const resolver = (await resolverOf(value.readUInt32BE(1))) as Parameters<typeof snapshotType.fromBuffer>[1]
        const chunk = snapshotType.fromBuffer(value.subarray(FRAME_BYTES), resolver) as SnapshotChunk
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

async function makeResolver(fetchSchema: FetchSchema, schemaId: number): Promise<unknown> {
  const text = await fetchSchema(schemaId)
  if (text === null) {
    throw new FatalRestoreError(
      'SCHEMA_GONE',
      `the registry no longer knows schema id ${schemaId}, with which snapshots were written: bring its _schemas topic back`,
    )
  }
  return snapshotType.createResolver(avsc.Type.forSchema(JSON.parse(text) as avsc.Schema))
}
