// Judges the books of one partition: by refine's ledger (its equation, and each counter against what the topics hold), and
// identity by identity in lanes.ts. Where records were removed from a topic, a note says what can no longer be compared,
// and the rest is still compared.
import { emptyLedger, imbalance, type LedgerCounts } from '../../schemas/refine.ts'
import { RAW } from '../../schemas/topics.ts'
import type { PartitionBook } from './book.ts'
import type { Findings } from './findings.ts'
import { judgeLanes } from './lanes.ts'

/** Where one partition was cut: refine's committed offset, the store's progress, and what the topics still keep. */
export interface Cut {
  readonly partition: number
  /** Null: what refine has counted is not known, since its committed offset is missing or foreign. */
  readonly ledger: LedgerCounts | null
  readonly hasCommitted: boolean
  /** A foreign transaction hides outputs that refine has counted: that some cannot be found says nothing. */
  readonly isHeld: boolean
  /** Refine's next raw offset; the first retained one if it has committed nothing. */
  readonly committed: number
  /** Refine committed nothing while the end offsets were read: they must match the ledger. */
  readonly isStill: boolean
  /** First retained offsets; 0: nothing was removed. */
  readonly starts: Readonly<Record<'raw' | 'clean' | 'late' | 'dlq' | 'anomalies', number>>
  /** The store's next offsets; 0 if there is no store. */
  readonly stored: Readonly<Record<'clean' | 'late', number>>
  /** Event time from which the store keeps every row, ms; -Infinity: from the beginning. */
  readonly rowsSince: number
}

export interface LetterTotals {
  readonly open: number
  readonly replayed: number
  readonly dropped: number
}

/** Outcomes of one partition's records. */
export interface PartitionRow {
  readonly partition: number
  readonly raw: number
  readonly clean: number
  readonly duplicate: number
  readonly late: number
  readonly deadLettered: number
  /** Outcomes of the retained dead letters, the sinks' included. */
  readonly letters: LetterTotals
  readonly control: number
  readonly buffered: number
  /** In raw, not yet committed by refine. */
  readonly inFlight: number
  /** In clean or late, not yet in the store. */
  readonly towardsStore: number
}

/** Reasons, as in the header, that refine counts one by one. */
const LATE_REASONS = ['correction', 'regressed', 'ahead'] as const

export const NO_LEDGER: Readonly<LedgerCounts> = Object.freeze(emptyLedger())

export function judgePartition(book: PartitionBook, cut: Cut, findings: Findings): PartitionRow {
  const { partition, counts } = book
  const { starts } = cut
  // Unknown counters are no reason to accuse a single record: what can be compared without them still is.
  const isUntouched = !cut.hasCommitted && counts.clean + counts.late + counts.deadLetters === 0
  const isLedgerKnown = cut.ledger !== null || isUntouched
  const ledger = cut.ledger ?? foundCounts(book)
  if (!cut.hasCommitted && !isUntouched)
    findings.problem(
      'OFFSET_MISSING',
      `refine has no committed offset for ${RAW}/${partition}, although it has written outputs: its group's offsets were deleted or have expired`,
    )
  noteRemoved(cut, findings)
  if (isLedgerKnown) judgeBalance(ledger, partition, findings)
  else
    findings.note(
      `partition ${partition}: refine's counters are not known; its records are compared with each other only`,
    )
  const isRawWhole = starts.raw === 0
  if (book.isComplete) judgeContents()
  return {
    partition,
    raw: ledger.consumed + counts.rawAhead,
    clean: ledger.emitted,
    duplicate: ledger.duplicate,
    late: ledger.late,
    deadLettered: ledger.deadLettered + ledger.conflict,
    letters: { open: counts.openLetters, replayed: counts.replayedLetters, dropped: counts.droppedLetters },
    control: ledger.control,
    buffered: ledger.buffered,
    inFlight: counts.rawAhead,
    towardsStore: counts.towardsStore,
  }

  function judgeContents(): void {
    compare('raw records below the committed offset', counts.rawBelow, ledger.consumed, isRawWhole, true)
    if (starts.dlq === 0) compare('control records', counts.controls, ledger.control, isRawWhole, true)
    compare('records in clean', counts.clean, ledger.emitted, starts.clean === 0, cut.isStill)
    compare('records in late', counts.late, ledger.late, starts.late === 0, cut.isStill)
    for (const reason of LATE_REASONS)
      compare(
        `records of late with the reason ${reason}`,
        counts[reason],
        ledger[reason],
        starts.late === 0,
        cut.isStill,
      )
    if (counts.anomalies !== null)
      compare('anomalies', counts.anomalies, ledger.anomalies, starts.anomalies === 0, cut.isStill)
    compare('dead letters', counts.deadLetters, ledger.deadLettered + ledger.conflict, starts.dlq === 0, cut.isStill)
    if (isRawWhole) judgeReplays(book, findings)
    if (isLedgerKnown) judgeLetters(book, cut, findings)
    const areDuplicatesKnown = judgeLanes(book, cut, isLedgerKnown && !cut.isHeld ? ledger : null, findings)
    if (!isLedgerKnown || cut.isHeld) return
    const isWhole = starts.raw + starts.clean + starts.late + starts.dlq === 0
    if (areDuplicatesKnown && isWhole && cut.isStill && counts.unread === 0)
      compare('duplicates', counts.duplicates + counts.conflicts, ledger.duplicate + ledger.conflict, true, true)
  }

  /** @param isWhole nothing was removed; @param isExact nothing was added since the ledger was read */
  function compare(what: string, found: number, said: number, isWhole: boolean, isExact: boolean): void {
    if (!isLedgerKnown) return
    if (found > said && isExact)
      findings.problem(
        'BEYOND_LEDGER',
        `partition ${partition}: ${found} ${what}, ${found - said} more than refine has counted`,
      )
    if (found < said && isWhole && !cut.isHeld)
      findings.problem('LEDGER_DIFFERS', `partition ${partition}: ${found} ${what}; refine has counted ${said}`)
  }
}

/** What the topics hold, where refine's own counters are not known. */
function foundCounts({ counts }: PartitionBook): LedgerCounts {
  return {
    ...NO_LEDGER,
    consumed: counts.rawBelow,
    emitted: counts.clean,
    late: counts.late,
    deadLettered: counts.deadLetters,
    control: counts.controls,
  }
}

function judgeBalance(ledger: LedgerCounts, partition: number, findings: Findings): void {
  const balance = imbalance(ledger)
  if (balance !== 0)
    findings.problem('LEDGER_UNBALANCED', `partition ${partition}: refine's ledger is off by ${balance} records`)
}

/** What was marked as replayed is in raw: both were written in one transaction. MovedReplays has what went to another partition. */
function judgeReplays({ partition, marks, replays }: PartitionBook, findings: Findings): void {
  for (const { from, to } of marks.replayed(partition).minus(replays, marks.moved(partition)))
    replayMissing(partition, from, to, findings)
}

export function replayMissing(partition: number, from: number, to: number, findings: Findings): void {
  findings.problem(
    'REPLAY_MISSING',
    `dead letters ${partition}@${rangeText(from, to)} are marked as replayed and are not in raw`,
  )
}

/** Every dead letter names the raw record that it came from. */
function judgeLetters({ partition, deadOffsets, deadMet }: PartitionBook, cut: Cut, findings: Findings): void {
  for (const range of deadOffsets.minus(deadMet)) {
    const from = Math.max(range.from, cut.starts.raw)
    const to = cut.isStill ? range.to : Math.min(range.to, cut.committed - 1)
    if (from <= to)
      findings.problem(
        'NOT_IN_RAW',
        `the dead letters name offsets ${rangeText(from, to)} of raw partition ${partition}, which refine has not read there`,
      )
  }
}

function noteRemoved({ partition, starts }: Cut, findings: Findings): void {
  const { raw, clean, late, dlq } = starts
  if (raw > 0)
    findings.note(
      `partition ${partition}: raw was removed below offset ${raw}; refine's counters are believed, and outputs are not compared with raw`,
    )
  for (const [topic, start] of [
    ['clean', clean],
    ['late', late],
    ['the dead letters', dlq],
  ] as const) {
    if (start > 0)
      findings.note(
        `partition ${partition}: ${topic} was removed below offset ${start}; raw records from before that time are compared by count only`,
      )
  }
}

const rangeText = (from: number, to: number): string => (from === to ? String(from) : `${from}–${to}`)
