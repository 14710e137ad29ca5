// A watchdog for work that holds the event loop: SQLite writes on the calling thread, so no timer of this thread can
// notice a write that never returns. A second thread looks on. It counts its own looks instead of reading a clock: a
// process that was frozen or a laptop that slept does not age by it. When the same work is still there after too many
// looks, nothing in this process can help; it is killed, and its supervisor restarts it from what the store has.
import { Worker } from 'node:worker_threads'

export class Watchdog {
  /** [0]: number of the work under way, 0: none. [1]: never set; the thread waits on it. */
  readonly #shared = new Int32Array(new SharedArrayBuffer(8))
  readonly #thread: Worker
  #count = 0

  /**
   * @param name what is watched, for the last message
   * @param looks after so many without an end the process is killed
   */
  constructor(name: string, looks: number, lookEveryMs: number) {
    this.#thread = new Worker(new URL('./watchdog-thread.ts', import.meta.url), {
      workerData: { shared: this.#shared, name, looks, lookEveryMs },
    })
    this.#thread.unref()
  }

  /** Runs the work under watch, one at a time. */
  async watch<T>(work: () => Promise<T>): Promise<T> {
    this.#count = (this.#count % 0x7fff_ffff) + 1
    Atomics.store(this.#shared, 0, this.#count)
    try {
      return await work()
    } finally {
      Atomics.store(this.#shared, 0, 0)
    }
  }

  async close(): Promise<void> {
    await this.#thread.terminate()
  }
}
