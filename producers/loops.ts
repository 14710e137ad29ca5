// Things that are done again and again while a process runs. The first that fails ends them all: a loop that died
// quietly would look like a quiet sensor.
import type { Clock } from '../platform/clock.ts'
import { pause } from '../platform/retry.ts'

export class Loops {
  readonly #clock: Clock
  readonly #controller = new AbortController()
  readonly #running: Promise<void>[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Fires on `stop` and when a loop fails. */
  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Something runs, and nothing has failed. */
  get areRunning(): boolean {
    return this.#running.length > 0 && !this.signal.aborted
  }

  /** Calls `work`, waits `ms`, and so on. */
  every(ms: number, work: () => void | Promise<void>): void {
    this.add(async () => {
      while (!this.signal.aborted) {
        await work()
        await pause(ms, this.signal, this.#clock)
      }
    })
  }

  /** Runs something that ends when the signal fires. */
  add(run: () => Promise<void>): void {
    const running = run()
    running.catch((error: unknown) => this.#controller.abort(error))
    this.#running.push(running)
  }

  /** Rejects with what failed first. Ends when all loops have. */
  async failure(): Promise<void> {
    await Promise.all(this.#running)
  }

  stop(): void {
    this.#controller.abort()
  }
}
