// What the pool and its worker threads say to each other. Errors are sent as their parts: a thread can copy an error's
// message to another, but not its class.
import {
  InputError,
  type InputErrorCode,
  messageOf,
  PlumblineError,
  StoreError,
  type StoreErrorCode,
} from '../../platform/errors.ts'
import type { ReadResult } from './finding.ts'
import type { ReadName } from './reads.ts'

export interface ReadRequest {
  readonly name: ReadName
  /** As the read of this name takes them. */
  readonly params: unknown
}

type ReadErrorCode = 'INVARIANT' | 'FAILED'

/** A read whose result must not be served, or that failed in a way that neither the store nor the input explains. */
export class ReadError extends PlumblineError<ReadErrorCode> {}

type ErrorParts =
  | { readonly kind: 'input'; readonly code: InputErrorCode; readonly field: string; readonly message: string }
  | { readonly kind: 'store'; readonly code: StoreErrorCode; readonly retriable: boolean; readonly message: string }
  | { readonly kind: 'other'; readonly code: ReadErrorCode; readonly message: string }

export type ReadReply =
  { readonly ok: true; readonly result: ReadResult } | { readonly ok: false; readonly error: ErrorParts }

export function partsOf(error: unknown): ErrorParts {
  const message = messageOf(error)
  if (error instanceof InputError) return { kind: 'input', code: error.code, field: error.field, message }
  if (error instanceof StoreError) return { kind: 'store', code: error.code, retriable: error.retriable, message }
  return { kind: 'other', code: error instanceof ReadError ? error.code : 'FAILED', message }
}

export function errorOf(parts: ErrorParts): PlumblineError {
  switch (parts.kind) {
    case 'input':
      return new InputError(parts.code, parts.field, parts.message)
    case 'store':
      return new StoreError(parts.code, parts.message, { retriable: parts.retriable })
    case 'other':
      return new ReadError(parts.code, parts.message)
  }
}
