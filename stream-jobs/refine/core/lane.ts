// The order of one (sensor, epoch) whose readings are numbered. A reading that is next passes at once; an early one
// waits until the gap before it is filled, or until the wait is over and the gap is abandoned and named. One below the
// next is a duplicate if its place was taken, late if its place was abandoned.
import { type Held, heldBytes, lowerBound } from './held.ts'
import { MissingRanges } from './missing-ranges.ts'

export type Place = 'next' | 'early' | 'duplicate' | 'late'

const seqOf = (held: Held): number => held.seq

export class Lane {
  readonly epoch: number
  readonly missing: MissingRanges
  next: number
  /** Early readings by seq; never holds `next`. */
  readonly held: Held[]
  /** Arrival time at which the gap in front is abandoned; Infinity while none is open. */
  deadline: number

  constructor(epoch: number, next = 0, missing = new MissingRanges(), held: Held[] = [], deadline = Infinity) {
    this.epoch = epoch
    this.next = next
    this.missing = missing
    this.held = held
    this.deadline = deadline
  }

  /** What a reading with this sequence number is; changes nothing. */
  place(seq: number): Place {
    if (seq === this.next) return 'next'
    if (seq < this.next) return this.missing.has(seq) ? 'late' : 'duplicate'
    const at = lowerBound(this.held, seq, seqOf)
    return at < this.held.length && this.held[at].seq === seq ? 'duplicate' : 'early'
  }

  /** A late reading takes its place: another with this number is a duplicate. */
  fill(seq: number): void {
    this.missing.take(seq)
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
    this.next += 1
    return this.held.shift()!
  }

  /** Abandons the gap in front of the first held reading. Returns how many sequence numbers are missing. */
  giveUp(): number {
    const first = this.next
    const last = this.held[0].seq - 1
    this.missing.add(first, last)
    this.next = last + 1
    return last - first + 1
  }

  /** Sets the clock of the gap that is now in front: it began with the earliest arrival that still waits. */
  settle(gapTimeoutMs: number): void {
    let earliest = Infinity
    for (const { arrival } of this.held) earliest = Math.min(earliest, arrival)
    this.deadline = earliest + gapTimeoutMs
  }

  heldBytes(): number {
    let bytes = 0
    for (const held of this.held) bytes += heldBytes(held)
    return bytes
  }
}
