// The metadata of the sequencer's committed offset in a partition of the extents. Every transaction writes it for the
// partitions that it advances, so the greatest count among all partitions is that of the last transaction.
import { z } from 'zod'
import { FatalRestoreError } from '../../refine/runtime/fatal.ts'

const reachedInPartition = z.object({
  v: z.literal(1),
  /** Sequence of the next reading, of whatever partition. */
  next_sequence: z.number().int().min(0),
  /** Offset in clean after the last extent of this partition. */
  clean_end: z.number().int().min(0),
})

export type ReachedInPartition = z.infer<typeof reachedInPartition>

export const encodeReached = (reached: ReachedInPartition): string => JSON.stringify(reached)

/** @throws FatalRestoreError FOREIGN_OFFSET when the offset was not committed by the sequencer */
export function decodeReached(text: string, partition: number, offset: number): ReachedInPartition {
  try {
    return reachedInPartition.parse(JSON.parse(text))
  } catch (cause) {
    throw new FatalRestoreError(
      'FOREIGN_OFFSET',
      `offset ${offset} of extents partition ${partition} carries no sequence: it was committed by something else, or reset by hand; delete the group's offsets and telemetry.order together to start the order over`,
      { cause, partition, offset },
    )
  }
}
