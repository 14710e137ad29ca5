// What the latest readings of a lane contained, by sequence number: this tells a repeat from a conflict, which is
// a different reading under a number already used. A ring of hashes over the numbers just below the lane's
// next one; NaN if nothing is known (the number was abandoned, or its reading was a dead letter).

/** Grows from these by doubling: most of many sensors need few. */
const SIZE_MIN = 8
/** A log that reuses numbers after losing its tail repeats a few dozen; the audit finds older ones in raw. */
const SIZE_MAX = 64

export class Recent {
  #hashes: Float64Array

  constructor(hashes = new Float64Array(SIZE_MIN).fill(NaN)) {
    this.#hashes = hashes
  }

  /** Hash of the reading with that number, which is below `next`; NaN if it is not known. */
  of(seq: number, next: number): number {
    const size = this.#hashes.length
    return seq < next - size ? NaN : this.#hashes[seq % size]
  }

  /** The lane's next number is taken, by a reading with that hash or (NaN) by none. */
  advance(next: number, hash: number): void {
    if (next >= this.#hashes.length && this.#hashes.length < SIZE_MAX) this.#grow(next)
    this.#hashes[next % this.#hashes.length] = hash
  }

  /** The numbers [next, to) are abandoned. */
  abandon(next: number, to: number): void {
    for (let seq = Math.max(next, to - SIZE_MAX); seq < to; seq += 1) this.advance(seq, NaN)
  }

  /** An abandoned number below `next` is taken after all. */
  fill(seq: number, next: number, hash: number): void {
    const size = this.#hashes.length
    if (seq >= next - size) this.#hashes[seq % size] = hash
  }

  /** For a snapshot. */
  hashes(): Float64Array {
    return this.#hashes
  }

  #grow(next: number): void {
    const former = this.#hashes
    const larger = new Float64Array(former.length * 2).fill(NaN)
    for (let seq = Math.max(0, next - former.length); seq < next; seq += 1)
      larger[seq % larger.length] = former[seq % former.length]
    this.#hashes = larger
  }
}
