// The order of one (sensor, epoch) whose readings are numbered. A reading that is next passes at once; an early one
// waits until the gap before it is filled, or until the wait is over and the gap is abandoned and named. One below the
// next is late if its place was abandoned. One whose place is taken is a duplicate, or, with other bytes, a conflict.
import { type Held, heldBytes, lowerBound } from './held.ts'
import { MissingRanges } from './missing-ranges.ts'
import { Recent } from './recent.ts'
import { NO_BYTES } from './record-bytes.ts'

export type Place = 'next' | 'early' | 'taken' | 'late'

const seqOf = (held: Held): number => held.seq

export class Lane {
  readonly epoch: number
  readonly missing: MissingRanges
  readonly recent: Recent
  next: number
  /** Early readings by seq; never holds `next`. */
  readonly held: Held[]
  /** Arrival time at which the first gap is abandoned; Infinity while none is open. */
  deadline: number

  constructor(
    epoch: number,
    next = 0,
    missing = new MissingRanges(),
    held: Held[] = [],
    deadline = Infinity,
    recent = new Recent(),
  ) {
    this.epoch = epoch
    this.next = next
    this.missing = missing
    this.held = held
    this.deadline = deadline
    this.recent = recent
  }

  /** Classifies a reading with this sequence number; changes nothing. */
  place(seq: number): Place {
    if (seq === this.next) return 'next'
    if (seq < this.next) return this.missing.has(seq) ? 'late' : 'taken'
    const at = lowerBound(this.held, seq, seqOf)
    return at < this.held.length && this.held[at].seq === seq ? 'taken' : 'early'
  }

  /**
   * For a number whose place is taken: whether by a reading with other bytes. False if that is no longer known.
   */
  conflicts(seq: number, hash: number): boolean {
    const known = seq < this.next ? this.recent.of(seq, this.next) : this.#heldHash(seq)
    return known === known && known !== hash // NaN: not known
  }

  /** The next number is taken. @param hash NaN if its reading is a dead letter */
  take(hash: number): void {
    this.recent.advance(this.next, hash)
    this.next += 1
  }

  /** A late reading takes its place. @param hash NaN if it is a dead letter */
  fill(seq: number, hash: number): void {
    this.missing.take(seq)
    this.recent.fill(seq, this.next, hash)
  }

  /** Keeps an early reading. The first one opens the gap and starts its clock. */
  hold(reading: Held, gapTimeoutMs: number): void {
    this.held.splice(lowerBound(this.held, reading.seq, seqOf), 0, reading)
    this.deadline = Math.min(this.deadline, reading.arrival + gapTimeoutMs)
  }

  /**
   * Takes the next held reading if it is its turn. Call until null after anything moved `next`.
   */
  takeNext(): Held | null {
    if (this.held.length === 0 || this.held[0].seq !== this.next) return null
    this.take(this.held[0].hash)
    return this.held.shift()!
  }

  /** Abandons the gap before the first held reading. Returns how many sequence numbers are missing. */
  giveUp(): number {
    const first = this.next
    const last = this.held[0].seq - 1
    this.missing.add(first, last)
    this.recent.abandon(first, last + 1)
    this.next = last + 1
    return last - first + 1
  }

  /** Sets the deadline of the gap that is now first: it began with the earliest arrival still waiting. */
  settle(gapTimeoutMs: number): void {
    let earliest = Infinity
    for (const { arrival } of this.held) earliest = Math.min(earliest, arrival)
    this.deadline = earliest + gapTimeoutMs
  }

  /** A reading that was emitted before: the lane continues after it, and what waited up to there has had its turn. */
  recall(seq: number, hash: number): void {
    if (seq < this.next) return this.missing.has(seq) ? this.fill(seq, hash) : undefined
    while (this.held.length > 0 && this.held[0].seq <= seq) this.held.shift()
    if (seq > this.next) {
      this.missing.add(this.next, seq - 1)
      this.recent.abandon(this.next, seq)
      this.next = seq
    }
    this.take(hash)
  }

  /** Ends the wait. @returns what waited */
  release(): Held[] {
    this.deadline = Infinity
    return this.held.splice(0)
  }

  /**
   * A reading that cannot be emitted keeps its place and goes out without a word: the one with the number of `blamed`,
   * else the first one. Without any left the wait ends.
   * @returns what it was; null for none
   */
  discard(blamed: Held | null): Held | null {
    const at = this.held.findIndex(({ live, seq }) => live && (blamed === null || seq === blamed.seq))
    if (at < 0) {
      this.held.length = 0
      this.deadline = Infinity
      return null
    }
    const held = this.held[at]
    this.held[at] = { ...held, ...NO_BYTES, live: false, hash: NaN }
    return held
  }

  #heldHash(seq: number): number {
    const at = lowerBound(this.held, seq, seqOf)
    return at < this.held.length && this.held[at].seq === seq ? this.held[at].hash : NaN
  }

  heldBytes(): number {
    let bytes = 0
    for (const held of this.held) bytes += heldBytes(held)
    return bytes
  }
}
