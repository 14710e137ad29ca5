// What the latest readings of a lane contained, by sequence number: this tells a repeat from a conflict, which is
// a different reading under a number already used. A ring of hashes over the numbers just below the lane's
// next one; NaN if nothing is known (the number was abandoned, or its reading was a dead letter).

/** Grows from these by doubling: most of many sensors need few. A power of two, so that a mask finds the place. */
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
    return seq < next - this.#hashes.length ? NaN : this.#hashes[this.#place(seq)]
  }

  /** The lane's next number is taken, by a reading with that hash or (NaN) by none. */
  advance(next: number, hash: number): void {
    if (next >= this.#hashes.length && this.#hashes.length < SIZE_MAX) this.#grow(next)
    this.#hashes[this.#place(next)] = hash
  }

  /** The numbers [next, to) are abandoned. */
  abandon(next: number, to: number): void {
    for (let seq = Math.max(next, to - SIZE_MAX); seq < to; seq += 1) this.advance(seq, NaN)
  }

  /** An abandoned number below `next` is taken after all. */
  fill(seq: number, next: number, hash: number): void {
    if (seq >= next - this.#hashes.length) this.#hashes[this.#place(seq)] = hash
  }

  /** For a snapshot. */
  hashes(): Float64Array {
    return this.#hashes
  }

  #grow(next: number): void {
    const former = this.#hashes
    const larger = new Float64Array(former.length * 2).fill(NaN)
    for (let seq = Math.max(0, next - former.length); seq < next; seq += 1)
      larger[seq & (larger.length - 1)] = former[seq & (former.length - 1)]
    this.#hashes = larger
  }

  /** Its low bits, also of a number above 2^32; a remainder of such a double costs a call per reading. */
  #place(seq: number): number {
    return seq & (this.#hashes.length - 1)
  }
}
