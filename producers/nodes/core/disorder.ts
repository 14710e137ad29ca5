// Disorder on the way (EM-1): a share of the readings is sent late, after later readings of the same sensor, and a
// share is sent twice. It is decided by seed and index alone, so the same seed gives the same order and a sender that
// begins again decides alike. Numbering and the write-ahead log come before it: disorder never makes a gap.
import { uniformAt } from './hash.ts'

export interface DisorderOptions {
  readonly seed: number
  /** Share of readings that are held back. */
  readonly outOfOrder: number
  /** Share of readings that are sent twice. */
  readonly duplicates: number
  /** Sensors that take turns: a reading's successor of the same sensor is this many indexes on. */
  readonly sensors: number
  /** A reading is overtaken by at most this many later ones of its sensor. */
  readonly maxOvertakes: number
}

export type Fate = 'now' | 'held' | 'twice'

export class Disorder {
  readonly #options: DisorderOptions
  #maxOvertakes: number

  constructor(options: DisorderOptions) {
    this.#options = options
    this.#maxOvertakes = options.maxOvertakes
  }

  /** For readings that are held back from now on: at another rate the same time means another number of readings. */
  limitOvertakes(maxOvertakes: number): void {
    this.#maxOvertakes = maxOvertakes
  }

  fate(index: number): Fate {
    const { seed, outOfOrder, duplicates } = this.#options
    const drawn = uniformAt(seed, index)
    if (drawn < outOfOrder) return 'held'
    return drawn < outOfOrder + duplicates ? 'twice' : 'now'
  }

  /** The index in front of which a held reading, or the second copy of one that is sent twice, goes out. */
  dueAt(index: number): number {
    const { seed, sensors } = this.#options
    const overtakes = 1 + Math.floor(uniformAt(seed ^ 0x5bd1e995, index) * this.#maxOvertakes)
    return index + overtakes * sensors + 1
  }
}

/** A reading is overtaken for at most so long: well within the time that refine waits for a gap to be filled. */
const HELD_MAX_MS = 500

/** By how many later readings of its sensor one may be overtaken. */
export const overtakesAt = (rateHz: number): number =>
  Math.min(5, Math.max(1, Math.floor((rateHz * HELD_MAX_MS) / 1000)))
