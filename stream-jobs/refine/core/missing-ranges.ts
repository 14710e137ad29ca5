// The sequence numbers of a lane whose place was abandoned: disjoint ranges in ascending order. A reading in one of them
// is late, and takes its number out of the range. The number of ranges is bounded: beyond it the lowest are forgotten
// and the horizon rises; below the horizon "late" and "duplicate" can no longer be told apart, so everything counts as
// late, which costs an idempotent write and loses nothing.

/** Ranges per lane; at 16 bytes each this is what a lane may cost when nearly everything is lost. */
const RANGES_MAX = 256

export class MissingRanges {
  /** first, last, first, last, … */
  readonly #bounds: number[]
  /** Below it nothing is known. */
  #horizon: number

  constructor(bounds: readonly number[] = [], horizon = 0) {
    this.#bounds = [...bounds]
    this.#horizon = horizon
  }

  get horizon(): number {
    return this.#horizon
  }

  /** How many ranges there are. */
  get size(): number {
    return this.#bounds.length / 2
  }

  /** first, last, first, last, … in ascending order. */
  bounds(): number[] {
    return [...this.#bounds]
  }

  /** Adds [first, last], which is above every range so far. */
  add(first: number, last: number): void {
    this.#bounds.push(first, last)
    this.#trim()
  }

  /** Whether the place of a number below the lane's next one was abandoned, or is too old to know. */
  has(seq: number): boolean {
    return seq < this.#horizon || this.#find(seq) >= 0
  }

  /** Takes a number out of its range, if it is in one. */
  take(seq: number): void {
    const bounds = this.#bounds
    const at = this.#find(seq)
    if (at < 0) return
    const first = bounds[at]
    const last = bounds[at + 1]
    if (first === last) bounds.splice(at, 2)
    else if (seq === first) bounds[at] = seq + 1
    else if (seq === last) bounds[at + 1] = seq - 1
    else {
      bounds.splice(at, 2, first, seq - 1, seq + 1, last)
      this.#trim()
    }
  }

  #trim(): void {
    while (this.#bounds.length > 2 * RANGES_MAX) {
      this.#horizon = this.#bounds[1] + 1
      this.#bounds.splice(0, 2)
    }
  }

  /** Index of the range that contains seq; -1 for none. */
  #find(seq: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length / 2 - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if (seq < bounds[2 * middle]) high = middle - 1
      else if (seq > bounds[2 * middle + 1]) low = middle + 1
      else return 2 * middle
    }
    return -1
  }
}
