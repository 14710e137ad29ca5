// Equal questions at the same time are one read: twenty dashboards that show one site cost as much as one. Who asks while the
// read runs gets its answer, whose `data_through` is from its begin; whether that is fresh enough is judged for each by
// itself. A read is given up when everybody who waits for it has gone.
import type { ReadResult } from './finding.ts'
import type { ReadName, ReadParams } from './reads.ts'
import { abandoned } from './pool.ts'
import type { StoreReader } from './store-reader.ts'

interface Running {
  readonly result: Promise<ReadResult>
  readonly end: AbortController
  waiting: number
}

export class SharedReads implements StoreReader {
  readonly #reader: StoreReader
  readonly #running = new Map<string, Running>()

  constructor(reader: StoreReader) {
    this.#reader = reader
  }

  read<N extends ReadName>(name: N, params: ReadParams<N>, signal: AbortSignal): Promise<ReadResult> {
    if (signal.aborted) return Promise.reject(abandoned())
    const key = JSON.stringify([name, params])
    const running = this.#running.get(key) ?? this.#start(key, name, params)
    running.waiting += 1
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        running.waiting -= 1
        if (running.waiting === 0) this.#end(key, running)
        reject(abandoned())
      }
      signal.addEventListener('abort', onAbort, { once: true })
      running.result.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
    })
  }

  close(): Promise<void> {
    return this.#reader.close()
  }

  #start<N extends ReadName>(key: string, name: N, params: ReadParams<N>): Running {
    const end = new AbortController()
    const running: Running = { result: this.#reader.read(name, params, end.signal), end, waiting: 0 }
    this.#running.set(key, running)
    const forget = (): void => this.#forget(key, running)
    running.result.then(forget, forget)
    return running
  }

  /** The next one who asks starts another. */
  #end(key: string, running: Running): void {
    this.#forget(key, running)
    running.end.abort()
  }

  #forget(key: string, running: Running): void {
    if (this.#running.get(key) === running) this.#running.delete(key)
  }
}
