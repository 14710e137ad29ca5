// What SQLite's result codes mean: an outage passes, poison is the row's fault, the rest is a plain failure.
import { messageOf, StoreError } from '../../errors.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'

/** Runs work and throws what SQLite throws as a StoreError. */
export function attempt<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw asStoreError(error)
  }
}

/** Null where it is not the row's fault. */
export function reasonOfRefusal(error: unknown): string | null {
  const failure = asStoreError(error)
  return failure instanceof StorePoisonError ? failure.message : null
}

/** SQLite's primary result codes that a later try may not meet: BUSY, LOCKED, NOMEM, IOERR, FULL, CANTOPEN, PROTOCOL. */
const RETRIABLE = new Set([5, 6, 7, 10, 13, 14, 15])
/** Extended codes PRIMARYKEY, UNIQUE, ROWID: another process wrote the same sensor; what was known of it is forgotten. */
const MET_ANOTHER = new Set([1555, 2067, 2579])
/** TOOBIG, CONSTRAINT (of a check, a trigger, a type) and MISMATCH: it is a row that the table does not take. */
const POISON = new Set([18, 19, 20])

/** What SQLite threw as a StoreError; anything else as it is. */
export function asStoreError(error: unknown): unknown {
  if ((error as { code?: unknown }).code !== 'ERR_SQLITE_ERROR') return error
  const errcode = Number((error as { errcode?: unknown }).errcode)
  const message = `SQLite: ${messageOf(error)} (${errcode})`
  if (RETRIABLE.has(errcode & 0xff) || MET_ANOTHER.has(errcode)) return new StoreOutageError(message, { cause: error })
  if (POISON.has(errcode & 0xff)) return new StorePoisonError(message, { cause: error })
  return new StoreError('STORE_FAILED', message, { cause: error })
}
