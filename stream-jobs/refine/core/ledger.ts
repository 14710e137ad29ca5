// The counters of one partition. At any moment a record is counted once as consumed and once by its outcome:
// `imbalance` of schemas/refine.ts, which holds the equation, is 0.
import { PlumblineError } from '../../../platform/errors.ts'
import { imbalance, type LedgerCounts } from '../../../schemas/refine.ts'

export interface Ledger extends LedgerCounts {
  consumed: number
  emitted: number
  duplicate: number
  /** Everything sent to telemetry.late: abandoned places, corrections, regressed, ahead and replayed readings. */
  late: number
  /** All dead letters except conflicts. */
  deadLettered: number
  /** Dead letters whose sequence number was taken by other bytes. */
  conflict: number
  control: number
  /** Waiting in the core. */
  buffered: number
  /** Of `late`: another payload for a known event time. */
  correction: number
  /** Of `late`: event time not above the last one emitted. */
  regressed: number
  /** Of `late`: event time further ahead of arrival than the sensor's clock is known to be. */
  ahead: number
  /** Sequence numbers that were abandoned, and those of them that arrived after all. */
  gapsGivenUp: number
  gapsFilledLate: number
  anomalies: number
}

export { emptyLedger, LEDGER_NAMES } from '../../../schemas/refine.ts'

/** A few forged seqs near 2^52 would push the missing count beyond what a snapshot can hold. */
export const COUNT_MAX = 2 ** 53 - 2

/** A bug in the core: continuing would commit an unbalanced ledger. */
export class LedgerError extends PlumblineError<'LEDGER_UNBALANCED'> {}

/** @throws LedgerError when a record has no outcome, or two */
export function expectBalanced(ledger: Ledger): void {
  const off = imbalance(ledger)
  if (off === 0) return
  const counters = JSON.stringify(ledger)
  throw new LedgerError('LEDGER_UNBALANCED', `the ledger is off by ${off}: ${counters}; this is a defect of refine`)
}
