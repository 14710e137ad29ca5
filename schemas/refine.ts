// What refine leaves in the log beside its topics' values: header names, the order of its ledger, and the state that
// stands as metadata beside its committed offset. Written by stream-jobs/, read by whoever audits or shows it.
import { z } from 'zod'

/** Header that marks a control record in telemetry.raw; its value says what it is. */
export const CONTROL_HEADER = 'plumbline.control'

/** Header of a record in telemetry.late: late, correction, regressed or replayed. */
export const LATE_REASON_HEADER = 'plumbline.reason'

/** Header of a replayed dead letter in telemetry.raw: its place in telemetry.dlq as partition@offset. */
export const REPLAY_OF_HEADER = 'plumbline.replay.of'

/**
 * Header of a replayed dead letter whose place in its sensor's order was taken when it was refused, so that it would
 * be taken for a duplicate now. With the value `late` refine passes it on to telemetry.late, once it is acceptable.
 */
export const REPLAY_AS_HEADER = 'plumbline.replay.as'

/** The ledger's counters in the order in which they are written; stream-jobs/refine/core/ledger.ts says what each counts. */
export const LEDGER_NAMES = [
  'consumed',
  'emitted',
  'duplicate',
  'late',
  'deadLettered',
  'control',
  'buffered',
  'correction',
  'regressed',
  'gapsGivenUp',
  'gapsFilledLate',
  'anomalies',
] as const

export type LedgerCounts = Record<(typeof LEDGER_NAMES)[number], number>

/** Metadata of refine's committed offset: written in the transaction that commits it, so always true of that offset. */
export const commitMetadata = z.object({
  v: z.literal(1),
  /** First offset of the snapshot in refine.snapshots, its chunks, its id and the raw offset it has reached. */
  snapshot: z.object({ offset: z.number(), chunks: z.number().int().positive(), id: z.string(), input: z.number() }),
  /** In the order of LEDGER_NAMES. */
  ledger: z.array(z.number()),
  /** Schema ids refused since the snapshot, with the raw offset from which each was accepted; -1: still refused. */
  refusals: z.array(z.tuple([z.number(), z.number()])),
})

export type CommitMetadata = z.infer<typeof commitMetadata>
