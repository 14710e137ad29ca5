// Retrying what an outage may have interrupted, for as long as the result is wanted, and waiting without losing the
// group membership meanwhile.
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'
import { retryWhile } from '../platform/retry.ts'

const RETRY = { baseMs: 100, capMs: 2_000 }

export interface WhileWanted {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  /** False when nobody is waiting for the result any more. */
  readonly isWanted: () => boolean
  /** Called between tries. */
  readonly heartbeat?: () => Promise<void>
}

/** @returns null once the result is no longer wanted; rejects with an error that is not retriable */
export function retryWhileWanted<T>(
  what: string,
  { clock, random, log, isWanted, heartbeat }: WhileWanted,
  work: () => Promise<T>,
): Promise<T | null> {
  return retryWhile(isWanted, work, {
    backoff: RETRY,
    clock,
    random,
    beforeRetry: heartbeat,
    onFailure: (error, attempt) => log.warn({ attempt, reason: messageOf(error) }, `${what} failed; trying again`),
  })
}

/** True when the promise settled within the time. */
export async function settlesWithin(promise: Promise<unknown>, ms: number, clock: Clock): Promise<boolean> {
  const settled = new AbortController()
  const late = clock.sleep(ms, settled.signal).then(
    () => false,
    () => true,
  )
  try {
    return await Promise.race([promise.then(() => true), late])
  } finally {
    settled.abort()
  }
}
