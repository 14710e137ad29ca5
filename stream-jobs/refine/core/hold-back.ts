// The order of a sensor whose readings are not numbered (epoch 0). Each is held back for a while by arrival time, so
// that stragglers find their place by event time; readings are told apart by (sensor, ts). The same payload again is a
// duplicate, another payload for a known ts a correction. What was emitted lately is remembered by fingerprint; a ts
// that is older than that memory counts as late, which costs an idempotent write and loses nothing.
import { type Held, heldBytes, lowerBound } from './held.ts'

export type Verdict = 'held' | 'duplicate' | 'correction' | 'late'

/** Emitted readings that are remembered: at 10 Hz some 25 s, well beyond what retries and networks repeat. */
const KNOWN_MAX = 256

const tsOf = (held: Held): number => held.ts

export class HoldBack {
  /** By event time. */
  readonly held: Held[]
  /** Event times emitted lately, ascending, and the fingerprints of their payloads. */
  readonly knownTs: number[]
  readonly knownHash: number[]
  /** Arrival time at which the longest wait is over; Infinity while none waits. */
  deadline: number
  readonly #fingerprint: (value: Uint8Array) => number

  constructor(
    fingerprint: (value: Uint8Array) => number,
    held: Held[] = [],
    knownTs: number[] = [],
    knownHash: number[] = [],
    deadline = Infinity,
  ) {
    this.#fingerprint = fingerprint
    this.held = held
    this.knownTs = knownTs
    this.knownHash = knownHash
    this.deadline = deadline
  }

  /**
   * @param lastTs greatest event time that the sensor has emitted
   * @returns what the reading is; `held` when it now waits
   */
  offer(reading: Held, lastTs: number, holdBackMs: number): Verdict {
    const at = lowerBound(this.held, reading.ts, tsOf)
    if (at < this.held.length && this.held[at].ts === reading.ts) {
      return sameBytes(this.held[at].value, reading.value) ? 'duplicate' : 'correction'
    }
    if (reading.ts <= lastTs) return this.#known(reading)
    this.held.splice(at, 0, reading)
    this.deadline = Math.min(this.deadline, reading.arrival + holdBackMs)
    return 'held'
  }

  /**
   * Takes what may go: everything up to the greatest event time whose wait is over, so that nobody waits longer than
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

  /** Remembers a reading that was emitted. */
  remember(reading: Held): void {
    this.knownTs.push(reading.ts)
    this.knownHash.push(this.#fingerprint(reading.value))
    if (this.knownTs.length > KNOWN_MAX) {
      this.knownTs.shift()
      this.knownHash.shift()
    }
  }

  heldBytes(): number {
    let bytes = 0
    for (const held of this.held) bytes += heldBytes(held)
    return bytes
  }

  #known(reading: Held): Verdict {
    const at = this.knownTs.lastIndexOf(reading.ts)
    if (at < 0) return 'late'
    return this.knownHash[at] === this.#fingerprint(reading.value) ? 'duplicate' : 'correction'
  }

  #take(count: number, holdBackMs: number): Held[] {
    const taken = this.held.splice(0, count)
    let earliest = Infinity
    for (const { arrival } of this.held) earliest = Math.min(earliest, arrival)
    this.deadline = earliest + holdBackMs
    return taken
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i += 1) if (a[i] !== b[i]) return false
  return true
}
