// A set of whole numbers as disjoint ranges in ascending order: the seqs of a sensor are nearly always one range, however
// many readings there are, which is what keeps an audit's memory to the number of sensors.

export interface SeqRange {
  readonly from: number
  readonly to: number
}

export class SeqSet {
  /** first, last, first, last, …; ranges never touch. */
  readonly #bounds: number[] = []
  size = 0

  get ranges(): number {
    return this.#bounds.length / 2
  }

  /** Greatest member; -1 if there is none. */
  get last(): number {
    return this.#bounds.length === 0 ? -1 : this.#bounds[this.#bounds.length - 1]
  }

  /** @returns false when the number was in the set already */
  add(n: number): boolean {
    const bounds = this.#bounds
    const end = bounds.length
    if (end > 0 && n === bounds[end - 1] + 1) {
      bounds[end - 1] = n
      this.size += 1
      return true
    }
    const at = this.#firstReaching(n)
    if (at < end && bounds[at] <= n) return false
    this.size += 1
    const joinsLeft = at > 0 && bounds[at - 1] === n - 1
    const joinsRight = at < end && bounds[at] === n + 1
    if (joinsLeft && joinsRight) bounds.splice(at - 1, 2)
    else if (joinsLeft) bounds[at - 1] = n
    else if (joinsRight) bounds[at] = n
    else bounds.splice(at, 0, n, n)
    return true
  }

  has(n: number): boolean {
    const at = this.#firstReaching(n)
    return at < this.#bounds.length && this.#bounds[at] <= n
  }

  *[Symbol.iterator](): Iterator<SeqRange> {
    for (let at = 0; at < this.#bounds.length; at += 2) yield { from: this.#bounds[at], to: this.#bounds[at + 1] }
  }

  /** What is in this set and in none of the others. */
  minus(...others: readonly SeqSet[]): SeqRange[] {
    let rest: SeqRange[] = [...this]
    for (const other of others) if (other.size > 0) rest = rest.flatMap((range) => other.#cutOut(range))
    return rest
  }

  /** What of [from, to] is not in this set. */
  missing(from: number, to: number): SeqRange[] {
    return from > to ? [] : this.#cutOut({ from, to })
  }

  #cutOut({ from, to }: SeqRange): SeqRange[] {
    const bounds = this.#bounds
    const rest: SeqRange[] = []
    let next = from
    for (let at = this.#firstReaching(from); at < bounds.length && bounds[at] <= to; at += 2) {
      if (bounds[at] > next) rest.push({ from: next, to: bounds[at] - 1 })
      next = bounds[at + 1] + 1
    }
    if (next <= to) rest.push({ from: next, to })
    return rest
  }

  /** Index of the first range that ends at or after n. */
  #firstReaching(n: number): number {
    const bounds = this.#bounds
    let low = 0
    let high = bounds.length / 2
    while (low < high) {
      const middle = (low + high) >>> 1
      if (bounds[2 * middle + 1] < n) low = middle + 1
      else high = middle
    }
    return 2 * low
  }
}

export const sizeOf = (ranges: readonly SeqRange[]): number =>
  ranges.reduce((sum, { from, to }) => sum + to - from + 1, 0)
