// What is committed beside a refine task's offset, in the same transaction, so that it is always true of that offset:
// the snapshot to start from, the ledger (a replay must arrive at the same one), the version of the core that reached
// it, and the schema ids that were refused since that snapshot.
import { PlumblineError } from '../../../platform/errors.ts'
import { type CommitMetadata, readCommitMetadata } from '../../../schemas/refine.ts'
import { coreVersion } from '../core/version.ts'
import { FatalRestoreError } from './fatal.ts'

export type { CommitMetadata }

export const encodeMetadata = (metadata: Omit<CommitMetadata, 'v' | 'core'>): string =>
  JSON.stringify({ v: 2, core: coreVersion(), ...metadata } satisfies CommitMetadata)

/** A committed offset that is not refine's. The partition waits until somebody has put it right; the others continue. */
export class ForeignOffsetError extends PlumblineError<'FOREIGN_OFFSET'> {}

/** @throws ForeignOffsetError when the offset was not committed by refine */
export function decodeMetadata(text: string, partition: number, offset: number): CommitMetadata {
  try {
    return readCommitMetadata(text)
  } catch (cause) {
    throw new ForeignOffsetError(
      'FOREIGN_OFFSET',
      `offset ${offset} of raw partition ${partition} carries no state of refine: something else has committed it, or it was reset by hand; to start over, delete the group's offsets and refine.snapshots together`,
      { cause, partition, offset },
    )
  }
}

/**
 * Another version of the core may take over only if nothing is to be replayed: it would judge the same records by other
 * rules than those under which their outputs were written.
 * @throws FatalRestoreError CORE_CHANGED when it would have to replay
 */
export function expectReplayable(
  { core, snapshot }: CommitMetadata,
  at: { readonly topic: string; readonly partition: number; readonly offset: number },
  group: string,
  own = coreVersion(),
): void {
  if (core === own || snapshot.input === at.offset) return
  throw new FatalRestoreError(
    'CORE_CHANGED',
    `${at.topic} partition ${at.partition}: the state at offset ${at.offset} was reached by core version ${core === '' ? '0' : core}, whose last snapshot is at ${snapshot.input}; this is version ${own}, which cannot replay what is between. Start the former version of Plumbline once more and stop it cleanly (plumbline down, or SIGTERM): it then leaves a snapshot at its last offset. If it is lost, delete the offsets of group ${group} and the topics of refine.snapshots, clean and late to refine everything again`,
    at,
  )
}
