// Judges one partition identity by identity: what raw has and no output has must be what refine says it buffers, every
// output must have come from a raw record with the same bytes, and the same number must not belong to two readings.
import type { LedgerCounts } from '../../schemas/refine.ts'
import { type SeqRange, SeqSet, sizeOf } from '../../platform/seq-set.ts'
import { type LaneBook, type PartitionBook, UNNUMBERED } from './book.ts'
import type { Findings } from './findings.ts'
import type { Cut } from './judge.ts'
import { keyText } from './records.ts'

interface Unplaced {
  readonly key: string
  readonly lane: LaneBook
  readonly ranges: readonly SeqRange[]
}

/**
 * @param ledger null: not known, or outputs are hidden, so what has no output may be buffered
 * @returns whether duplicates can be counted: every output has been claimed by its raw record
 */
export function judgeLanes(book: PartitionBook, cut: Cut, ledger: LedgerCounts | null, findings: Findings): boolean {
  if (book.unnumberedOverflow) {
    findings.note(
      `partition ${book.partition}: too many readings without seq to compare one by one; their counts were compared`,
    )
    return false
  }
  if (book.budget.left <= 0)
    findings.note(
      `partition ${book.partition}: too many readings to compare the bytes of all; their seqs were compared`,
    )
  const unplaced: Unplaced[] = []
  const before: Unplaced[] = []
  let areClaimed = true
  for (const { key, lanes } of book.sensors.values()) {
    for (const lane of lanes) {
      const ranges = lane.raw.minus(lane.clean, lane.late, lane.dead, lane.beforeOutputs)
      if (lane.epoch === UNNUMBERED) ranges.push(...lane.differing)
      else judgeConflicts(key, lane, findings)
      if (ranges.length > 0) unplaced.push({ key, lane, ranges })
      if (lane.beforeOutputs.size > 0) before.push({ key, lane, ranges: [...lane.beforeOutputs] })
      areClaimed &&= !lane.hashes.hasUnclaimed
      judgeOutputs(book.partition, key, lane, cut, findings)
    }
  }
  if (ledger !== null) {
    judgeUnplaced(book.partition, unplaced, ledger, findings)
    judgeBefore(book, cut, ledger, before, findings)
  }
  return areClaimed && book.budget.left > 0
}

const countOf = (unplaced: readonly Unplaced[]): number => unplaced.reduce((sum, { ranges }) => sum + sizeOf(ranges), 0)

function judgeUnplaced(
  partition: number,
  unplaced: readonly Unplaced[],
  ledger: LedgerCounts,
  findings: Findings,
): void {
  const count = countOf(unplaced)
  if (count < ledger.buffered) {
    findings.problem(
      'BUFFER_DIFFERS',
      `partition ${partition}: refine buffers ${ledger.buffered} readings, of which ${count} can be found in raw`,
    )
    return
  }
  if (count === ledger.buffered) return
  const hint = ledger.buffered === 0 ? '' : ` (${count} of such, of which refine buffers ${ledger.buffered})`
  for (const { key, lane, ranges } of unplaced)
    for (const range of ranges)
      findings.problem('MISSING', `${nameOf(key, lane.epoch, range)} is in raw and in no output${hint}`)
}

/** Older than what the output topics fully retain: no more may be missing than was removed. */
function judgeBefore(
  { partition, counts }: PartitionBook,
  { starts }: Cut,
  ledger: LedgerCounts,
  before: readonly Unplaced[],
  findings: Findings,
): void {
  const removed =
    (starts.clean > 0 ? Math.max(0, ledger.emitted - counts.clean) : 0) +
    (starts.late > 0 ? Math.max(0, ledger.late - counts.late) : 0) +
    (starts.dlq > 0 ? Math.max(0, ledger.deadLettered + ledger.conflict - counts.deadLetters) : 0)
  const count = countOf(before)
  if (count <= removed + ledger.buffered) return
  const names = before.flatMap(({ key, lane, ranges }) => ranges.map((range) => nameOf(key, lane.epoch, range)))
  findings.problem(
    'MISSING',
    `partition ${partition}: ${count} readings are in raw and in no output, and only ${removed} outputs were removed: ${names.slice(0, NAMES_MAX).join(', ')}`,
  )
}

/** Maximum number of items that one problem lists. */
const NAMES_MAX = 20

function judgeConflicts(key: string, lane: LaneBook, findings: Findings): void {
  for (const range of lane.differing) {
    // If the output itself matches no raw record, it was altered; its raw record is not to blame.
    const parts = rangesWhere(range, (id) => lane.hashes.unclaimed(id).length === 0)
    for (const part of parts)
      findings.problem(
        'CONFLICT',
        `${nameOf(key, lane.epoch, part)} is in raw more than once with different bytes; only the first were taken`,
      )
  }
}

/** Outputs that no raw record has claimed. */
function judgeOutputs(partition: number, key: string, lane: LaneBook, cut: Cut, findings: Findings): void {
  if (!lane.hashes.hasUnclaimed) return
  for (const topic of ['clean', 'late'] as const) {
    for (const output of lane[topic]) {
      for (const { from, to } of rangesWhere(output, (id) => lane.hashes.unclaimed(id).length > 0)) {
        const foreign = lane.raw.missing(from, to).flatMap((range) => lane.ahead.missing(range.from, range.to))
        if (cut.starts.raw === 0)
          for (const range of foreign)
            findings.problem(
              'NOT_IN_RAW',
              `${nameOf(key, lane.epoch, range)} is in ${topic} and not in raw partition ${partition}`,
            )
        const known = new SeqSet()
        for (const range of foreign) for (let id = range.from; id <= range.to; id += 1) known.add(id)
        for (const range of known.missing(from, to)) judgeClaimed(topic, key, lane, range, findings)
      }
    }
  }
}

/** Raw has the identity, but not these bytes, or fewer times. */
function judgeClaimed(topic: string, key: string, lane: LaneBook, range: SeqRange, findings: Findings): void {
  for (const part of rangesWhere(range, (id) => lane.hashes.unclaimed(id).some(({ surplus }) => !surplus)))
    findings.problem('CHANGED', `${nameOf(key, lane.epoch, part)} has other bytes in ${topic} than in raw`)
  // A number that is in clean twice was already reported.
  if (lane.epoch !== UNNUMBERED) return
  for (const part of rangesWhere(range, (id) => lane.hashes.unclaimed(id).some(({ surplus }) => surplus)))
    findings.problem('TWICE', `${nameOf(key, lane.epoch, part)} is in clean or late more often than in raw`)
}

/** The subranges whose members satisfy the predicate. */
function rangesWhere({ from, to }: SeqRange, holds: (id: number) => boolean): SeqRange[] {
  const parts: SeqRange[] = []
  let start = -1
  for (let id = from; id <= to; id += 1) {
    if (holds(id)) {
      if (start < 0) start = id
    } else if (start >= 0) {
      parts.push({ from: start, to: id - 1 })
      start = -1
    }
  }
  if (start >= 0) parts.push({ from: start, to })
  return parts
}

/** Human-readable: a range of seqs, or of event times where there are no seqs. */
export function nameOf(key: string, epoch: number, { from, to }: SeqRange): string {
  const what = epoch === 0 ? 'ts' : `epoch ${epoch} seq`
  return `${keyText(key)} ${what} ${from === to ? from : `${from}–${to}`}`
}
