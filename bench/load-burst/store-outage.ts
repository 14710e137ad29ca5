// Makes the embedded store really unavailable for a while: another connection holds SQLite's write lock, so that writers
// wait and then fail, as with any store that browns out.
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'

/** The sink holds the lock for milliseconds at a time; this loop must not wait long, for it blocks its thread. */
const BUSY_MS = 20
const RETRY_MS = 5
const BUSY = 5

export class StoreOutage {
  readonly #db: DatabaseSync
  #fired = 0

  /** @param file of an existing store */
  constructor(file: string) {
    this.#db = new DatabaseSync(file, { timeout: BUSY_MS })
  }

  /** Outages that really held the lock. */
  get fired(): number {
    return this.#fired
  }

  /** Keeps every writer out for this long, ms. */
  async hold(lengthMs: number): Promise<void> {
    const deadline = performance.now() + lengthMs
    while (!this.#lock()) await delay(RETRY_MS)
    this.#fired += 1
    try {
      await delay(Math.max(0, deadline - performance.now()))
    } finally {
      this.#db.exec('ROLLBACK')
    }
  }

  close(): void {
    this.#db.close()
  }

  #lock(): boolean {
    try {
      this.#db.exec('BEGIN IMMEDIATE')
      return true
    } catch (error) {
      if ((error as { errcode?: number }).errcode === BUSY) return false
      throw error
    }
  }
}
