// What a batch does to the rows of one sensor, pure: the rows of one event time are folded into the one that wins, and
// the winner is set against what the store has. TDengine itself keeps whatever arrives last, and within one statement
// a repeated row's NULL does not overwrite; so the version rule of port.ts is applied here, and no statement names an
// event time twice.
import type { ReadingRows } from '../port.ts'

/** What identifies a reading among those of its sensor and event time. */
export interface Mark {
  readonly version: number
  readonly epoch: number
  readonly seq: number
}

export interface StoredMark extends Mark {
  /** Readings that this row has displaced or outlived. */
  readonly superseded: number
}

/** The winner of one event time. */
export interface Winner {
  /** Index into the batch. */
  index: number
  /** Those that it beat within the batch. */
  losers: Mark[] | null
}

/** `whole`: the row replaces what is stored; else only the count of superseded readings changes. */
export interface Verdict {
  readonly whole: boolean
  readonly superseded: number
}

const isSame = (a: Mark, b: Mark): boolean => a.version === b.version && a.epoch === b.epoch && a.seq === b.seq

/** The winners of one sensor's rows, in order of their first appearance. */
export class SensorRows {
  readonly winners: Winner[] = []
  /** Greatest event time so far: nearly all rows come behind it, and cost no look-up. */
  #maxTs = -Infinity
  #byTs: Map<number, Winner> | null = null

  add(rows: ReadingRows, index: number): void {
    const { ts } = rows.readings[index]
    const isNew = ts > this.#maxTs
    if (!isNew) this.#byTs ??= new Map(this.winners.map((winner) => [rows.readings[winner.index].ts, winner]))
    const met = isNew ? undefined : this.#byTs!.get(ts)
    if (met !== undefined) {
      meet(rows, met, index)
      return
    }
    const winner = { index, losers: null }
    this.winners.push(winner)
    this.#byTs?.set(ts, winner)
    if (isNew) this.#maxTs = ts
  }
}

function meet(rows: ReadingRows, winner: Winner, index: number): void {
  const standing = markOf(rows, winner.index)
  const coming = markOf(rows, index)
  const wins = coming.version >= standing.version
  if (!isSame(standing, coming)) (winner.losers ??= []).push(wins ? standing : coming)
  if (wins) winner.index = index
}

export function markOf({ readings, versions }: ReadingRows, index: number): Mark {
  const { epoch, seq } = readings[index]
  return { version: versions[index], epoch, seq }
}

/**
 * A replayed batch meets its own rows and must not count them again: what is stored already, as the winner or as one of
 * those it beat, is no further reading. (Where two readings of version 0 share an event time, which refine never lets
 * happen, a replay in other portions may count one again.)
 */
export function judge(mark: Mark, losers: readonly Mark[], stored: StoredMark | undefined): Verdict {
  if (stored === undefined) return { whole: true, superseded: losers.length }
  if (isSame(stored, mark)) return { whole: true, superseded: Math.max(stored.superseded, losers.length) }
  const others = losers.filter((loser) => !isSame(loser, stored)).length
  return { whole: mark.version >= stored.version, superseded: stored.superseded + others + 1 }
}
