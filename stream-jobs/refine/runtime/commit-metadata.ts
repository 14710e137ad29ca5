// What stands beside a refine task's committed offset. It is written in the transaction that commits the offset, so it
// is always true of that offset: which snapshot to begin from, the ledger (a replay must arrive at the same one), and
// which schema ids were refused since that snapshot.
import { KafkaError } from '../../../platform/errors.ts'
import { type CommitMetadata, commitMetadata } from '../../../schemas/refine.ts'
import { LEDGER_NAMES, type Ledger } from '../core/ledger.ts'

export type { CommitMetadata }

export const ledgerNumbers = (ledger: Ledger): number[] => LEDGER_NAMES.map((name) => ledger[name])

export const encodeMetadata = (metadata: CommitMetadata): string => JSON.stringify(metadata)

/**
 * @throws KafkaError FOREIGN_OFFSET when the offset was not committed by refine
 */
export function decodeMetadata(text: string, partition: number, offset: number): CommitMetadata {
  try {
    return commitMetadata.parse(JSON.parse(text))
  } catch (cause) {
    throw new KafkaError(
      'FOREIGN_OFFSET',
      `offset ${offset} of raw partition ${partition} carries no state of refine: it was committed by something else, or reset by hand; delete the group's offsets and refine.snapshots together to begin anew`,
      { cause, partition, offset },
    )
  }
}
