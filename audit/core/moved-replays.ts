// Dead letters that were replayed into another partition of raw: a reading that was in the wrong one goes to the partition
// that its key belongs to. Marks are in the letter's partition and the replays elsewhere, so they are compared when all
// partitions have been read.
import type { PartitionBook } from './book.ts'
import type { Findings } from './findings.ts'
import { replayMissing } from './judge.ts'
import { SeqSet } from '../../platform/seq-set.ts'

export class MovedReplays {
  /** By the letter's partition. */
  readonly #marked = new Map<number, SeqSet>()
  readonly #met = new Map<number, SeqSet>()
  /** No partition of raw has lost records. */
  #isWhole = true

  collect({ partition, marks, movedReplays, isComplete }: PartitionBook, rawStart: number, findings: Findings): void {
    if (marks.moved(partition).size > 0) this.#marked.set(partition, marks.moved(partition))
    this.#isWhole &&= isComplete && rawStart === 0
    for (const { place, offset } of movedReplays) {
      const met = this.#met.get(place.partition) ?? new SeqSet()
      this.#met.set(place.partition, met)
      if (!met.add(place.offset))
        findings.problem(
          'REPLAYED_TWICE',
          `raw/${partition} offset ${offset} replays dead letter ${place.partition}@${place.offset} again`,
        )
    }
    movedReplays.length = 0
  }

  judge(findings: Findings): void {
    if (!this.#isWhole) return
    for (const [partition, marked] of this.#marked)
      for (const { from, to } of marked.minus(this.#met.get(partition) ?? new SeqSet()))
        replayMissing(partition, from, to, findings)
  }
}
