// The store as the sink writes to it: under a watchdog, since a write may block the thread and with it every timer that
// would notice. Reads are bounded by the store itself.
import type { Store, StoreView, WriteBatch } from '../platform/store/port.ts'
import { Watchdog } from '../platform/watchdog.ts'

/** A write that blocks the thread for half a minute, past every deadline and lock, will not return. */
const STUCK_LOOKS = 30
const STUCK_LOOK_MS = 1_000

export class WatchedStore {
  readonly #inner: Store
  readonly #watchdog = new Watchdog('a write to the store', STUCK_LOOKS, STUCK_LOOK_MS)

  constructor(inner: Store) {
    this.#inner = inner
  }

  read<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    return this.#inner.read(work)
  }

  write(batch: WriteBatch, signal?: AbortSignal): Promise<void> {
    return this.#watchdog.watch(() => this.#inner.write(batch, signal))
  }

  /** Ends the watch; the store itself stays open. */
  async close(): Promise<void> {
    await this.#watchdog.close()
  }
}
