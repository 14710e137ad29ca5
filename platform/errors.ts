// Operating errors: what the world did to us. Each has a stable `code`, says whether trying again may help, and
// keeps its cause. A programmer's mistake is not one of these: it is an assertion and stops the process.

export interface ErrorDetails {
  readonly retriable?: boolean
  readonly cause?: unknown
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
}

export class PlumblineError extends Error {
  readonly code: string
  readonly retriable: boolean
  readonly topic: string | undefined
  readonly partition: number | undefined
  readonly offset: number | undefined

  constructor(code: string, message: string, details: ErrorDetails = {}) {
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
export class ConfigError extends PlumblineError {
  constructor(message: string) {
    super('CONFIG', message)
  }
}

/** Input from outside is not acceptable; `field` names the part and the message the limit. */
export class InputError extends PlumblineError {
  readonly field: string

  constructor(code: string, field: string, message: string) {
    super(code, message)
    this.field = field
  }
}

/** The broker or the client failed. */
export class KafkaError extends PlumblineError {}

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
export class StoreError extends PlumblineError {
  declare readonly code: StoreErrorCode

  constructor(code: StoreErrorCode, message: string, details: ErrorDetails = {}) {
    super(code, message, details)
  }
}

/** The message of anything thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
