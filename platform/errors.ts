// Operational errors, caused by the environment. Each has a stable `code`, says whether retrying may help, and
// keeps its cause. A programmer's mistake is not one of these: it is an assertion and stops the process.
import type { KafkaErrorCode } from './kafka/error-codes.ts'

export interface ErrorDetails {
  readonly retriable?: boolean
  readonly cause?: unknown
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
}

/** Abstract, so that every class names its codes: `class WalError extends PlumblineError<WalErrorCode>`. */
export abstract class PlumblineError<Code extends string = string> extends Error {
  readonly code: Code
  readonly retriable: boolean
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined

  constructor(code: Code, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = new.target.name
    this.code = code
    this.retriable = details.retriable ?? false
    this.topic = details.topic
    this.partition = details.partition
    this.offset = details.offset
  }
}

/** A configuration variable is unknown or its value is not acceptable; the message names it. */
export class ConfigError extends PlumblineError<'CONFIG'> {
  constructor(message: string) {
    super('CONFIG', message)
  }
}

/** Answers of the HTTP interface carry these codes, so none may change its meaning. */
export type InputErrorCode =
  // A value, a field or an argument
  | 'INVALID'
  | 'MISSING'
  | 'JSON'
  | 'NOT_JSON'
  | 'NOT_AN_OBJECT'
  | 'NOT_A_NUMBER'
  | 'WRONG_TYPE'
  | 'OUT_OF_RANGE'
  | 'INCOMPLETE_NUMBER'
  | 'TOO_LONG'
  | 'TOO_MANY'
  | 'LIMIT'
  | 'RECORD_TOO_LARGE'
  | 'UNKNOWN_FIELD'
  | 'PARAMETER'
  | 'OPTIONS'
  | 'DURATION'
  | 'TIME'
  | 'FUTURE_TIME'
  | 'TOO_EARLY'
  | 'NOT_UTF8'
  | 'REPEATED_NAME'
  | 'IDEMPOTENCY_KEY'
  | 'SINCE'
  | 'PLACE'
  // Readings and their producers
  | 'NO_METRIC'
  | 'EPOCH_IN_USE'
  | 'EXISTS'
  | 'BUSY'
  // Files that are brought in or out
  | 'INPUT'
  | 'LINE_TOO_LONG'
  | 'CSV'
  | 'ENCODING'
  | 'COLUMNS'
  | 'FORMAT'
  | 'PRESET'
  | 'MAP'
  | 'MAPPING'
  | 'NAMES'
  | 'WHERE'
  | 'CELLS'
  | 'DECIMAL'
  | 'COMMENT'
  | 'TZ'
  | 'LOCAL_TIME'
  | 'TS_FORMAT'
  | 'TOO_MANY_ERRORS'
  | 'NO_FILE'
  | 'NO_READINGS'
  | 'NO_MARKS'
  | 'OPEN'
  | 'CHECKPOINT'
  | 'NO_CHECKPOINT'
  | 'OTHER_EXPORT'
  | 'CHANGED'
  // Things that are asked for
  | 'NODE'
  | 'NO_LETTER'
  | 'UNKNOWN_TOPIC'
  | 'UNKNOWN_PARTITION'
  | 'CONFIG_INVALID'
  | 'SETTINGS'

/** Input from outside is not acceptable; `field` names the part and the message the limit. */
export class InputError extends PlumblineError<InputErrorCode> {
  readonly field: string

  constructor(code: InputErrorCode, field: string, message: string) {
    super(code, message)
    this.field = field
  }
}

/** The broker or the client failed. */
export class KafkaError extends PlumblineError<KafkaErrorCode> {}

/** No port to listen on. */
export class PortError extends PlumblineError<'PORT_IN_USE' | 'NO_FREE_PORT'> {}

/** What each means and what a caller does about it: platform/store/README.md. */
export type StoreErrorCode =
  | 'STORE_UNAVAILABLE'
  | 'STORE_TIMEOUT'
  | 'STORE_BUSY'
  | 'STORE_NOT_READY'
  | 'STORE_POISON'
  | 'STORE_MOVED'
  | 'STORE_EXPIRED'
  | 'STORE_CLOSED'
  | 'STORE_CREDENTIALS'
  | 'STORE_SETTINGS'
  | 'STORE_TOO_NEW'
  | 'STORE_STUCK'
  | 'STORE_FAILED'

/** The store failed or refused. */
export class StoreError extends PlumblineError<StoreErrorCode> {}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
