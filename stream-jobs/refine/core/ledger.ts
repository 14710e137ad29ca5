// The counters of one partition. At every moment
//   consumed = emitted + duplicate + late + deadLettered + control + buffered
// holds exactly: a record is counted once as consumed and once as what became of it.
import { LEDGER_NAMES, type LedgerCounts } from '../../../schemas/refine.ts'

export interface Ledger extends LedgerCounts {
  consumed: number
  emitted: number
  duplicate: number
  /** All that went to telemetry.late: given-up places, corrections, regressed and replayed readings. */
  late: number
  deadLettered: number
  control: number
  /** Waiting in the core. */
  buffered: number
  /** Of `late`: another payload for a known event time. */
  correction: number
  /** Of `late`: event time not above the last one emitted. */
  regressed: number
  /** Seqs whose wait was given up, and those of them that came after all. */
  gapsGivenUp: number
  gapsFilledLate: number
  anomalies: number
}

export { LEDGER_NAMES }

export function emptyLedger(): Ledger {
  return Object.fromEntries(LEDGER_NAMES.map((name) => [name, 0])) as unknown as Ledger
}

/** What the books are off by; 0 when every record is accounted for. */
export const imbalance = (ledger: Ledger): number =>
  ledger.consumed -
  ledger.emitted -
  ledger.duplicate -
  ledger.late -
  ledger.deadLettered -
  ledger.control -
  ledger.buffered
