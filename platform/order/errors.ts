// What can be wrong with the total order, as an error that names the sequences and the offsets. A reader of the order
// never skips: what it cannot deliver stops it with one of these.
import { type ErrorDetails, PlumblineError } from '../errors.ts'

/**
 * SEQUENCE_REMOVED  the order itself no longer keeps the sequence
 * RANGE_REMOVED     the order still lists the range, but retention has removed its readings from clean
 * RANGE_MISSING     clean ends before the range; retriable, since its transaction may not have ended yet
 * COUNT_MISMATCH    an extent and clean disagree on the number of readings
 * SEQUENCE_GAP, SEQUENCE_REPEATED, EXTENT_OVERLAP, EMPTY_EXTENT   the order is inconsistent: see OrderCheck
 * ORDER_BEHIND      the order ends before a sequence that was read earlier: the topic was recreated
 * ORDER_CHANGED     another reading has the sequence of one that was read earlier
 */
export type OrderErrorCode =
  | 'SEQUENCE_REMOVED'
  | 'RANGE_REMOVED'
  | 'RANGE_MISSING'
  | 'COUNT_MISMATCH'
  | 'SEQUENCE_GAP'
  | 'SEQUENCE_REPEATED'
  | 'EXTENT_OVERLAP'
  | 'EMPTY_EXTENT'
  | 'ORDER_BEHIND'
  | 'ORDER_CHANGED'

/** Readings of one partition of clean and their sequences; the ends are exclusive. */
export interface NamedRange {
  readonly partition: number
  readonly fromOffset: number
  readonly toOffset: number
  readonly fromSequence: number
  readonly toSequence: number
}

export class OrderError extends PlumblineError<OrderErrorCode> {
  readonly range: NamedRange | undefined

  constructor(code: OrderErrorCode, message: string, details: ErrorDetails & { readonly range?: NamedRange } = {}) {
    super(code, message, { partition: details.range?.partition, offset: details.range?.fromOffset, ...details })
    this.range = details.range
  }
}

/** sequences 10 to 19, telemetry.clean/3 offsets 40 to 49 */
export const nameOf = (
  topic: string,
  { partition, fromOffset, toOffset, fromSequence, toSequence }: NamedRange,
): string =>
  `sequences ${fromSequence} to ${toSequence - 1} (${topic}/${partition} offsets ${fromOffset} to ${toOffset - 1})`
