// SQLite answers on the calling thread. Long reads therefore take a breath between statements, so that health checks
// and other requests of the process are served meanwhile.
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Longest stretch of work between two breaths, ms: short against a health check's patience, long against its cost. */
const STRETCH_MS = 10

export class Breather {
  #since = performance.now()

  /** Lets the event loop turn if the work has lasted long enough. */
  async pause(): Promise<void> {
    if (performance.now() - this.#since < STRETCH_MS) return
    await nextTurn()
    this.#since = performance.now()
  }
}
