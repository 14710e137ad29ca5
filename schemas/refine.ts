// What refine writes besides the values of its topics: header names, its ledger with the equation that must
// hold, and the metadata of its committed offset. Written by stream-jobs/, read by everything that audits or shows it.
import { z } from 'zod'

/** Header that marks a control record in telemetry.raw; its value says what it is. */
export const CONTROL_HEADER = 'plumbline.control'

/** Header of a record in telemetry.late: late, correction, regressed, ahead or replayed. */
export const LATE_REASON_HEADER = 'plumbline.reason'

/** Header of a replayed dead letter in telemetry.raw: its place in telemetry.dlq as partition@offset. */
export const REPLAY_OF_HEADER = 'plumbline.replay.of'

/**
 * Header of a replayed dead letter whose place in its sensor's order was taken when it was refused, so that it would
 * be taken for a duplicate now. With the value `late` refine passes it on to telemetry.late, once it is acceptable.
 */
export const REPLAY_AS_HEADER = 'plumbline.replay.as'

/** The possible outcomes of a raw record. */
export const LEDGER_OUTCOMES = [
  'emitted',
  'duplicate',
  'conflict',
  'late',
  'deadLettered',
  'control',
  'buffered',
] as const

/** The ledger's counters; stream-jobs/refine/core/ledger.ts says what each counts. */
export const LEDGER_NAMES = [
  'consumed',
  ...LEDGER_OUTCOMES,
  'correction',
  'regressed',
  'ahead',
  'gapsGivenUp',
  'gapsFilledLate',
  'anomalies',
] as const

export type LedgerName = (typeof LEDGER_NAMES)[number]
export type LedgerCounts = Record<LedgerName, number>

export const emptyLedger = (): LedgerCounts =>
  Object.fromEntries(LEDGER_NAMES.map((name) => [name, 0])) as unknown as LedgerCounts

/** A stored ledger; what its writer did not count yet is 0. */
export const ledgerFrom = (counters: Readonly<Record<string, number>>): LedgerCounts =>
  Object.fromEntries(LEDGER_NAMES.map((name) => [name, counters[name] ?? 0])) as unknown as LedgerCounts

/**
 * The equation of the ledger: every record that was consumed has exactly one outcome.
 * @returns the imbalance; 0 when every record is accounted for
 */
export function imbalance(ledger: Readonly<LedgerCounts>): number {
  let difference = ledger.consumed
  for (const outcome of LEDGER_OUTCOMES) difference -= ledger[outcome]
  return difference
}

const snapshot = z.object({
  offset: z.number(),
  chunks: z.number().int().positive(),
  id: z.string(),
  input: z.number(),
})
const refusals = z.array(z.tuple([z.number(), z.number()]))

/** Before version 2 the ledger was a list, and nothing said which core had reached it. */
const VERSION_1_LEDGER = [
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
]
const version1 = z
  .object({ v: z.literal(1), snapshot, ledger: z.array(z.number()).length(VERSION_1_LEDGER.length), refusals })
  .transform(({ ledger, ...rest }) => ({
    ...rest,
    v: 2 as const,
    above: [],
    core: '',
    ledger: ledgerFrom(Object.fromEntries(VERSION_1_LEDGER.map((name, i) => [name, ledger[i]]))),
  }))

/** Metadata of refine's committed offset: written in the transaction that commits it, so always true of that offset. */
const version2 = z.object({
  v: z.literal(2),
  /** Version of the core that has reached this state; only the same one may replay records to reach it again. */
  core: z.string(),
  /** First offset of the snapshot in refine.snapshots, its chunks, its id and the raw offset it has reached. */
  snapshot,
  /** By name. */
  ledger: z.record(z.string(), z.number()).transform(ledgerFrom),
  /** Schema ids refused since the snapshot, with the raw offset from which each was accepted; -1: still refused. */
  refusals,
  /** The registry's greatest id and the raw offset from which all above it were refused, since the snapshot. */
  above: refusals.default([]),
})

const commitMetadata = z.union([version2, version1])

export type CommitMetadata = z.infer<typeof version2>

/** @throws SyntaxError or ZodError for text that refine has not committed */
export const readCommitMetadata = (text: string): CommitMetadata => commitMetadata.parse(JSON.parse(text))
