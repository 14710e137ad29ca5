// Judges the books of one partition against refine's ledger: its equation (schemas/refine.ts) by count, and seq by seq: what raw has and no output has must be what refine says it buffers.
// Where retention has removed records the ledger's word is taken, and the audit says so.
import { emptyLedger, imbalance, type LedgerCounts } from '../../schemas/refine.ts'
import type { LaneBook, PartitionBook } from './book.ts'
import type { Findings } from './findings.ts'
import { keyText } from './records.ts'
import { type SeqRange, sizeOf } from '../../platform/seq-set.ts'

/** Where one partition was cut: refine's committed offset, and what the logs still keep. */
export interface Cut {
  readonly partition: number
  /** Null: refine has committed nothing. */
  readonly ledger: LedgerCounts | null
  /** Refine has committed nothing while the ends of the topics were read: they must be where the ledger is. */
  readonly isStill: boolean
  /** First offsets that are kept; 0: nothing was removed. */
  readonly rawStart: number
  readonly cleanStart: number
  readonly lateStart: number
  readonly dlqStart: number
}

export interface LetterTotals {
  readonly open: number
  readonly replayed: number
  readonly dropped: number
}

/** What became of the records of one partition. */
export interface PartitionRow {
  readonly partition: number
  readonly raw: number
  readonly clean: number
  readonly duplicate: number
  readonly late: number
  readonly deadLettered: number
  /** What became of the dead letters that are kept, the sinks' included. */
  readonly letters: LetterTotals
  readonly control: number
  readonly buffered: number
  /** In raw, not yet committed by refine. */
  readonly inFlight: number
  /** In clean or late, not yet in the store. */
  readonly towardsStore: number
}

export const NO_LEDGER: Readonly<LedgerCounts> = Object.freeze(emptyLedger())

export function judgePartition(book: PartitionBook, cut: Cut, findings: Findings): PartitionRow {
  const { partition, counts } = book
  const ledger = cut.ledger ?? NO_LEDGER
  noteRemoved(cut, findings)
  const balance = imbalance(ledger)
  if (balance !== 0)
    findings.problem('LEDGER_UNBALANCED', `partition ${partition}: refine's ledger is off by ${balance} records`)
  const control = counts.controls - counts.unknownControls
  const compared: [string, number, number, boolean][] = [
    ['raw records below the committed offset', counts.rawBelow, ledger.consumed, cut.rawStart === 0],
    ['records in clean', counts.clean, ledger.emitted, cut.cleanStart === 0],
    ['records in late', counts.late, ledger.late, cut.lateStart === 0],
    ['dead letters', counts.deadLetters, ledger.deadLettered, cut.dlqStart === 0],
    ['control records', control, ledger.control, cut.rawStart === 0 && cut.dlqStart === 0],
  ]
  for (const [what, found, said, canBeChecked] of compared) {
    if (canBeChecked && found !== said)
      findings.problem('LEDGER_DIFFERS', `partition ${partition}: ${found} ${what}, the ledger says ${said}`)
  }
  if (cut.isStill && counts.beyond > 0)
    findings.problem(
      'BEYOND_LEDGER',
      `partition ${partition}: clean, late and the dead letters have ${counts.beyond} records that the ledger does not know`,
    )
  if (cut.rawStart === 0) judgeReplays(book, findings)
  const isWhole = cut.rawStart + cut.cleanStart + cut.lateStart + cut.dlqStart === 0
  const unplaced = judgeLanes(book, cut, ledger, findings)
  const duplicate = isWhole
    ? counts.rawBelow - control - counts.clean - counts.late - counts.deadLetters - unplaced
    : ledger.duplicate
  if (duplicate !== ledger.duplicate)
    findings.problem(
      'LEDGER_DIFFERS',
      `partition ${partition}: ${duplicate} duplicates, the ledger says ${ledger.duplicate}`,
    )
  return {
    partition,
    raw: ledger.consumed + counts.rawAhead,
    clean: ledger.emitted,
    duplicate,
    late: ledger.late,
    deadLettered: ledger.deadLettered,
    letters: { open: counts.openLetters, replayed: counts.replayedLetters, dropped: counts.droppedLetters },
    control: ledger.control,
    buffered: ledger.buffered,
    inFlight: counts.rawAhead,
    towardsStore: counts.towardsStore,
  }
}

/** What was marked as replayed stands in raw: both were written in one transaction. */
function judgeReplays({ partition, marks, replays }: PartitionBook, findings: Findings): void {
  for (const { from, to } of marks.replayed(partition).minus(replays))
    findings.problem(
      'REPLAY_MISSING',
      `dead letters ${partition}@${from === to ? from : `${from}–${to}`} are marked as replayed and are not in raw`,
    )
}

/** Returns how many distinct readings of raw are in no output. */
function judgeLanes(book: PartitionBook, cut: Cut, ledger: LedgerCounts, findings: Findings): number {
  if (book.unnumberedOverflow) {
    findings.note(
      `partition ${book.partition}: too many readings without seq to check one by one; their counts were checked`,
    )
    return ledger.buffered
  }
  const unplaced: { key: string; lane: LaneBook; ranges: SeqRange[] }[] = []
  let count = 0
  for (const { key, lanes } of book.sensors.values()) {
    for (const lane of lanes) {
      const ranges = lane.raw.minus(lane.clean, lane.late, lane.dead)
      if (ranges.length > 0) unplaced.push({ key, lane, ranges })
      count += sizeOf(ranges)
      if (cut.rawStart === 0) findForeign(book.partition, key, lane, findings)
    }
  }
  const outputsAreWhole = cut.cleanStart + cut.lateStart + cut.dlqStart === 0
  if (!outputsAreWhole || count === ledger.buffered) return count
  const hint = ledger.buffered === 0 ? '' : ` (${count} of such, of which refine buffers ${ledger.buffered})`
  if (count < ledger.buffered)
    findings.problem(
      'BUFFER_DIFFERS',
      `partition ${book.partition}: refine buffers ${ledger.buffered} readings, of which ${count} can be found in raw`,
    )
  else
    for (const { key, lane, ranges } of unplaced)
      for (const range of ranges)
        findings.problem('MISSING', `${nameOf(key, lane.epoch, range)} is in raw and in no output${hint}`)
  return count
}

/** Outputs that raw does not have. */
function findForeign(partition: number, key: string, lane: LaneBook, findings: Findings): void {
  for (const set of ['clean', 'late', 'dead'] as const) {
    for (const range of lane[set].minus(lane.raw))
      findings.problem(
        'NOT_IN_RAW',
        `${nameOf(key, lane.epoch, range)} is in ${set === 'dead' ? 'the dead letters' : set} and not in raw partition ${partition}`,
      )
  }
}

function noteRemoved({ partition, rawStart, cleanStart, lateStart, dlqStart }: Cut, findings: Findings): void {
  for (const [topic, start] of [
    ['raw', rawStart],
    ['clean', cleanStart],
    ['late', lateStart],
    ['the dead letters', dlqStart],
  ] as const) {
    if (start > 0)
      findings.note(
        `partition ${partition}: retention has removed ${topic} below offset ${start}; what was there can no longer be checked, the ledger is believed`,
      )
  }
}

/** For people: a range of seqs, or of event times where there are no seqs. */
export function nameOf(key: string, epoch: number, { from, to }: SeqRange): string {
  const what = epoch === 0 ? 'ts' : `epoch ${epoch} seq`
  return `${keyText(key)} ${what} ${from === to ? from : `${from}–${to}`}`
}
