// Runs the API's reads of the store. Routes know this interface only: in the process reads run in worker threads
// (pool.ts), in tests of routes on the calling thread.
import type { Store } from '../../platform/store/port.ts'
import { type ReadResult, runRead } from './finding.ts'
import { type ReadName, type ReadParams, READS } from './reads.ts'

export interface StoreReader {
  /**
   * Rejects with InputError, StoreError or PoolError.
   * @param signal ends the read when it fires: the client has gone, or its time is over
   */
  read<N extends ReadName>(name: N, params: ReadParams<N>, signal: AbortSignal): Promise<ReadResult>
  close(): Promise<void>
}

/** On the calling thread, without a bound. */
export class DirectReader implements StoreReader {
  readonly #store: Store

  constructor(store: Store) {
    this.#store = store
  }

  read<N extends ReadName>(name: N, params: ReadParams<N>): Promise<ReadResult> {
    return runRead(this.#store, (view) => READS[name](view, params as never))
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
