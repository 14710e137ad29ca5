// A partition may end in offsets that hold no record: transaction markers, aborted records. A consumer is never handed
// such a tail, so its position stays below the end for ever although nothing is left to read. When a position has not
// moved between two polls, the rest is read without a group; if it holds no record, the position may pass it.
import type { RangeReader, TopicPartition } from './port.ts'

/** A longer rest is not examined: it is almost certainly lag, and our own aborted transactions are smaller. */
const TAIL_OFFSETS_MAX = 50_000

interface Seen {
  readonly from: number
  /** Everything in [from, emptyTo) is known to hold no record. */
  emptyTo: number
  /** A record was found: not worth another read until `from` moves. */
  hasRecords: boolean
}

export class Tails {
  readonly #reader: RangeReader
  readonly #seen = new Map<string, Seen>()

  constructor(reader: RangeReader) {
    this.#reader = reader
  }

  /** The offset up to which nothing is left to read from `from` on: `to`, or less, at least `from`. */
  async passable(at: TopicPartition, from: number, to: number): Promise<number> {
    const key = `${at.topic}/${at.partition}`
    const seen = this.#seen.get(key)
    if (seen?.from !== from) {
      this.#seen.set(key, { from, emptyTo: from, hasRecords: false })
      return from
    }
    if (seen.hasRecords || to <= seen.emptyTo || to - seen.emptyTo > TAIL_OFFSETS_MAX) return Math.min(to, seen.emptyTo)
    let records = 0
    await this.#reader.read(at, seen.emptyTo, to, ({ batches }) => {
      for (const batch of batches) for (let i = 0; i < batch.count; i += 1) if (batch.offset(i) < to) records += 1
    })
    if (records > 0) seen.hasRecords = true
    else seen.emptyTo = to
    return seen.emptyTo
  }
}
