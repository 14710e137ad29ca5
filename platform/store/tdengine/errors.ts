// What TDengine's error codes mean for a writer or reader: an outage passes, poison is the rows' fault, the rest is
// the set-up's or ours. Every code here was met on a real server (testdata/tdengine.jsonl); one that is not listed is
// a plain failure, which the sink treats like an outage: it stands still and is seen, and no row is put aside wrongly.
import { StoreError, type StoreErrorCode } from '../../errors.ts'
import { StoreOutageError, StorePoisonError } from '../store-errors.ts'

/** "Unable to establish connection" and "some vnode/qnode/mnode(s) out of service". */
const OUTAGE = new Set([11, 32])
/** Value too long for its column; timestamp outside KEEP. */
const POISON = new Set([9811, 1547])
/** 534 is said of bad values and of malformed statements alike; only the former are the rows' fault. */
const INSERT_SYNTAX = 534
const BAD_VALUE = /\((illegal|invalid) [^()]*\)\s*$/
/** Database or table missing, database not named: nobody has migrated this server yet. */
const NOT_READY = new Set([904, 9750, 9731, 9826])
/** Wrong password, unknown user, and the adapter's own complaints about the header. */
const CREDENTIALS = new Set([855, 849, 4357, 4386, 4388])

/** A statement whose thing exists already. */
export const COLUMN_EXISTS = 875

/** TDengine answered with an error that is neither an outage nor poison. */
export class TdengineError extends StoreError {
  readonly serverCode: number

  constructor(code: StoreErrorCode, message: string, serverCode: number, retriable = false) {
    super(code, message, { retriable })
    this.serverCode = serverCode
  }
}

/** @param code of the answer; @param description the server's words, which may quote a value */
export function errorOfCode(code: number, description: string): StoreError {
  const message = `TDengine: ${description} (${code})`
  if (OUTAGE.has(code)) return new StoreOutageError(message)
  if (POISON.has(code) || (code === INSERT_SYNTAX && BAD_VALUE.test(description))) return new StorePoisonError(message)
  if (NOT_READY.has(code)) return new TdengineError('STORE_NOT_READY', message, code, true)
  if (CREDENTIALS.has(code))
    return new TdengineError('STORE_CREDENTIALS', `${message}: see TDENGINE_USERNAME and TDENGINE_PASSWORD`, code)
  return new TdengineError('STORE_FAILED', message, code)
}
