// The simulator's time. It stops while anything can run: only when every promise has settled does the clock
// advance to the earliest sleep and end it, so seconds of waiting cost nothing and nothing depends on the machine's
// speed. Sleeps that end at the same moment do so in an order drawn from the seed. The wall clock is the same time plus
// an offset that a fault may step; monotonic time never steps.
import TinyQueue from 'tinyqueue'
import type { Clock } from '../platform/clock.ts'
import type { Random } from './random.ts'

interface Sleeper {
  readonly at: number
  readonly tie: number
  readonly wake: () => void
  cancelled: boolean
}

/** 2026-01-01: when every run starts. */
const WALL_ZERO_MS = Date.UTC(2026, 0, 1)

export class VirtualClock implements Clock {
  readonly #random: Random
  readonly #queue = new TinyQueue<Sleeper>([], (a, b) => a.at - b.at || a.tie - b.tie)
  #now = 0
  #events = 0
  /** Offset of the wall clock, ms. */
  wallOffsetMs = 0

  constructor(random: Random) {
    this.#random = random
  }

  /** Whole milliseconds, as a wall clock gives them. */
  now(): number {
    return Math.floor(WALL_ZERO_MS + this.#now + this.wallOffsetMs)
  }

  mono(): number {
    return this.#now
  }

  /** Number of sleeps that have ended. */
  get events(): number {
    return this.#events
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(abortError(signal))
      const onAbort = (): void => {
        sleeper.cancelled = true
        reject(abortError(signal!))
      }
      const sleeper: Sleeper = {
        at: this.#now + Math.max(0, ms),
        tie: this.#random(),
        wake: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
        cancelled: false,
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#queue.push(sleeper)
    })
  }

  /**
   * Lets time pass until the work is done.
   * @param eventsMax a run that needs more is looping
   * @throws whatever the work threw; Error if nothing is left that could complete it
   */
  async run<T>(work: Promise<T>, eventsMax: number): Promise<T> {
    let done = false
    const settle = (): void => void (done = true)
    work.then(settle, settle)
    for (;;) {
      // All promises settle before an immediate runs.
      await new Promise((resolve) => setImmediate(resolve))
      if (done) return work
      const next = this.#next()
      if (next === undefined) throw new Error(`at ${this.#now} ms everything waits and nothing can come`)
      if (this.#events >= eventsMax) throw new Error(`${eventsMax} events have passed by ${Math.round(this.#now)} ms`)
      this.#events += 1
      this.#now = Math.max(this.#now, next.at)
      next.wake()
    }
  }

  #next(): Sleeper | undefined {
    for (;;) {
      const next = this.#queue.pop()
      if (next === undefined || !next.cancelled) return next
    }
  }
}

/** Same signature as in node:timers/promises. */
const abortError = (signal: AbortSignal): Error =>
  Object.assign(new Error('The operation was aborted', { cause: signal.reason }), {
    name: 'AbortError',
    code: 'ABORT_ERR',
  })
