// The order of a sensor whose readings are not numbered (epoch 0). Each is held back for a while by arrival time, so
// that stragglers find their place by event time; readings are told apart by (sensor, ts). What repeats the latest
// reading of its ts is a duplicate; anything else for a known ts is a correction, even if it was seen before
// (A, B, A), since the latest write wins. What was accepted recently is remembered by its hash; a ts older than
// that memory counts as late, which costs an idempotent write and loses nothing.
import { type Held, heldBytes, lowerBound } from './held.ts'

export type Verdict = 'held' | 'duplicate' | 'correction' | 'late'

/** Event times that are remembered: at 10 Hz some 25 s, well beyond what retries and networks repeat. */
const KNOWN_MAX = 256

const tsOf = (held: Held): number => held.ts

export class HoldBack {
  /** By event time. */
  readonly held: Held[]
  /** Event times of readings that no longer wait, in release order, and the hash of each one's latest. */
  readonly knownTs: number[]
  readonly knownHash: number[]
  /** Arrival time at which the longest wait is over; Infinity while none waits. */
  deadline: number

  constructor(held: Held[] = [], knownTs: number[] = [], knownHash: number[] = [], deadline = Infinity) {
    this.held = held
    this.knownTs = knownTs
    this.knownHash = knownHash
    this.deadline = deadline
  }

  /**
   * Classifies a reading; changes nothing.
   * @param lastTs greatest event time that the sensor has emitted
   */
  judge(ts: number, hash: number, lastTs: number): Verdict {
    const at = lowerBound(this.held, ts, tsOf)
    if (at < this.held.length && this.held[at].ts === ts)
      return this.held[at].hash === hash ? 'duplicate' : 'correction'
    const known = this.knownTs.lastIndexOf(ts)
    if (known >= 0) return this.knownHash[known] === hash ? 'duplicate' : 'correction'
    return ts <= lastTs ? 'late' : 'held'
  }

  hold(reading: Held, holdBackMs: number): void {
    this.held.splice(lowerBound(this.held, reading.ts, tsOf), 0, reading)
    this.deadline = Math.min(this.deadline, reading.arrival + holdBackMs)
  }

  /** Records the latest reading of an event time that does not wait: it was emitted, or went to late. */
  remember(ts: number, hash: number): void {
    const at = lowerBound(this.held, ts, tsOf)
    if (at < this.held.length && this.held[at].ts === ts) {
      this.held[at].hash = hash
      return
    }
    const known = this.knownTs.lastIndexOf(ts)
    if (known >= 0) {
      this.knownHash[known] = hash
      return
    }
    this.knownTs.push(ts)
    this.knownHash.push(hash)
    if (this.knownTs.length > KNOWN_MAX) {
      this.knownTs.shift()
      this.knownHash.shift()
    }
  }

  /**
   * Takes what is due: everything up to the greatest event time whose wait is over, so that nothing waits longer than
   * the hold-back. In order of event time.
   */
  release(now: number, holdBackMs: number): Held[] {
    let count = 0
    for (let i = 0; i < this.held.length; i += 1) if (this.held[i].arrival + holdBackMs <= now) count = i + 1
    return this.#take(count, holdBackMs)
  }

  /** Takes the oldest one: the buffer is full. */
  releaseFirst(holdBackMs: number): Held[] {
    return this.#take(1, holdBackMs)
  }

  /** A reading that was emitted before: it waits no longer. */
  recall(ts: number, hash: number): void {
    const at = this.held.findIndex((held) => held.ts === ts)
    if (at >= 0) this.held.splice(at, 1)
    this.remember(ts, hash)
  }

  /**
   * Takes out a reading that cannot be emitted: the one of the event time of `blamed`, else the first one.
   * @returns what it was; null for none
   */
  discard(blamed: Held | null): Held | null {
    const at = blamed === null ? 0 : this.held.findIndex(({ ts }) => ts === blamed.ts)
    const [held = null] = this.held.splice(Math.max(0, at), 1)
    if (this.held.length === 0) this.deadline = Infinity
    return held
  }

  heldBytes(): number {
    let bytes = 0
    for (const held of this.held) bytes += heldBytes(held)
    return bytes
  }

  #take(count: number, holdBackMs: number): Held[] {
    const taken = this.held.splice(0, count)
    let earliest = Infinity
    for (const { arrival } of this.held) earliest = Math.min(earliest, arrival)
    this.deadline = earliest + holdBackMs
    return taken
  }
}
