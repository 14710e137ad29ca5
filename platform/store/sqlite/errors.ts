// What SQLite's result codes mean: an outage passes, poison is the row's fault, the rest is a plain failure.
import { messageOf, StoreError } from '../../errors.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'

/** Runs work and throws what SQLite throws as a StoreError that names the file. */
export function attempt<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw asStoreError(file, error)
  }
}

/** Null where it is not the row's fault. */
export function reasonOfRefusal(file: string, error: unknown): string | null {
  const failure = asStoreError(file, error)
  return failure instanceof StorePoisonError ? failure.message : null
}

/** What an operator looks at, by primary result code. */
const HINTS: ReadonlyMap<number, string> = new Map([
  [8, 'the file or its folder is read-only for this user'],
  [11, 'the file is damaged: move it away, and the sink builds the store again from the topics'],
  [13, 'the disk is full'],
  [14, 'check that the folder exists, and that this user may read and write it'],
  [26, 'this is not a store: check SQLITE_FILE'],
])
/** SQLite's primary result codes that a later try may not meet: BUSY, LOCKED, NOMEM, READONLY, IOERR, FULL, CANTOPEN, PROTOCOL. */
const RETRIABLE = new Set([5, 6, 7, 8, 10, 13, 14, 15])
/** Extended codes PRIMARYKEY, UNIQUE, ROWID: another process wrote the same sensor; what was known of it is forgotten. */
const MET_ANOTHER = new Set([1555, 2067, 2579])
/** TOOBIG, CONSTRAINT (of a check, a trigger, a type) and MISMATCH: it is a row that the table does not take. */
const POISON = new Set([18, 19, 20])

/** What SQLite threw as a StoreError; anything else as it is. */
export function asStoreError(file: string, error: unknown): unknown {
  const { code, syscall } = error as { code?: unknown; syscall?: unknown }
  // The file system refused the file or a folder above it.
  if (syscall !== undefined) return new StoreOutageError(`the store ${file}: ${messageOf(error)}`, { cause: error })
  if (code !== 'ERR_SQLITE_ERROR') return error
  const errcode = Number((error as { errcode?: unknown }).errcode)
  const hint = HINTS.get(errcode & 0xff)
  const message = `SQLite, ${file}: ${messageOf(error)} (${errcode})${hint === undefined ? '' : `; ${hint}`}`
  if (RETRIABLE.has(errcode & 0xff) || MET_ANOTHER.has(errcode)) return new StoreOutageError(message, { cause: error })
  if (POISON.has(errcode & 0xff)) return new StorePoisonError(message, { cause: error })
  return new StoreError('STORE_FAILED', message, { cause: error })
}
