// Why a store did not take a batch. An outage has to do with the store: the same rows go in later, so the sink waits.
// Poison has to do with the rows: the same rows never go in, so the sink finds them and dead-letters them. An adapter
// throws poison only for what it knows to be the rows' fault. Whatever it does not know counts as an outage: a sink
// that stands still is seen and costs nothing but time, a row that was put aside wrongly is easily overlooked.
import { messageOf, StoreError, type ErrorDetails } from '../errors.ts'

/** The store is away, too slow or failing; the same batch may go in later. */
export class StoreOutageError extends StoreError {
  /** @param code STORE_UNAVAILABLE, or STORE_TIMEOUT when no answer came in time: then the batch may be stored or not */
  constructor(
    message: string,
    details: Omit<ErrorDetails, 'retriable'> = {},
    code: 'STORE_UNAVAILABLE' | 'STORE_TIMEOUT' = 'STORE_UNAVAILABLE',
  ) {
    super(code, message, { ...details, retriable: true })
  }
}

/** A row that the store refuses by itself. */
export interface RefusedRow {
  readonly kind: 'reading' | 'anomaly'
  /** Among the batch's readings or anomalies. */
  readonly index: number
  readonly reason: string
}

/** At least one row of the batch is such that the store will never take it; none of the others is at fault. */
export class StorePoisonError extends StoreError {
  /** Rows that were refused one by one, as far as the store can tell; empty: the writer has to find them. */
  readonly refused: readonly RefusedRow[]

  constructor(message: string, details: Omit<ErrorDetails, 'retriable'> = {}, refused: readonly RefusedRow[] = []) {
    super('STORE_POISON', message, details)
    this.refused = refused
  }
}

/** Gathers a batch's refused rows, so that all are named at once. */
export class Refusals {
  readonly #rows: RefusedRow[] = []

  /** @param error rethrown when it is not the row's fault */
  add(kind: RefusedRow['kind'], index: number, error: unknown): void {
    if (!(error instanceof StorePoisonError)) throw error
    this.#rows.push({ kind, index, reason: error.message })
  }

  throwIfAny(): void {
    if (this.#rows.length > 0) throw new StorePoisonError(this.#rows[0].reason, {}, this.#rows)
  }
}

/** `moved`: another sink has taken a partition over, see ProgressUpdate in port.ts. */
export type StoreFailure =
  | { readonly kind: 'moved'; readonly error: StoreError }
  | { readonly kind: 'poison'; readonly error: StorePoisonError }
  | { readonly kind: 'outage'; readonly reason: string }

/** @param error what `Store.write` rejected with */
export function classifyFailure(error: unknown): StoreFailure {
  if (error instanceof StorePoisonError) return { kind: 'poison', error }
  if (error instanceof StoreError && error.code === 'STORE_MOVED') return { kind: 'moved', error }
  return { kind: 'outage', reason: messageOf(error) }
}
