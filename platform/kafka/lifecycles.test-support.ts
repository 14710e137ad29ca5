// What the tests of group members and fenced owners share: a clock that moves by hand, and turns of the event loop.
import type { Clock } from '../clock.ts'

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

/** Time passes only by `pass`, which ends every sleep on its way in order. */
export class HandClock implements Clock {
  #now = 0
  #sleepers: Sleeper[] = []

  now(): number {
    return this.#now
  }

  mono(): number {
    return this.#now
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(new Error('aborted'))
      }
      const sleeper = { at: this.#now + ms, wake: resolve }
      if (signal?.aborted === true) return abort()
      signal?.addEventListener('abort', abort, { once: true })
      this.#sleepers.push(sleeper)
    })
  }

  async pass(ms: number): Promise<void> {
    const until = this.#now + ms
    await rest()
    for (;;) {
      const next = this.#sleepers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0]
      if (next === undefined) break
      this.#sleepers = this.#sleepers.filter((sleeper) => sleeper !== next)
      this.#now = next.at
      next.wake()
      await rest()
    }
    this.#now = until
  }
}

/** Resolves once every promise has come to rest. */
export const rest = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
