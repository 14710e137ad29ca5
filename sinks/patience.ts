// Retrying what an outage may have interrupted, for as long as the result is wanted, and waiting without losing the
// group membership meanwhile.
import { backoffMs } from '../platform/backoff.ts'
import type { Clock } from '../platform/clock.ts'
import { messageOf } from '../platform/errors.ts'
import type { Logger } from '../platform/log.ts'

const RETRY = { baseMs: 100, capMs: 2_000 }

export interface RetryWhile {
  readonly clock: Clock
  readonly random: () => number
  readonly log: Logger
  /** False when nobody is waiting for the result any more. */
  readonly isWanted: () => boolean
  /** Called between tries. */
  readonly heartbeat?: () => Promise<void>
}

/** @returns null once the result is no longer wanted; rejects with an error that is not retriable */
export async function retryWhile<T>(
  what: string,
  { clock, random, log, isWanted, heartbeat }: RetryWhile,
  work: () => Promise<T>,
): Promise<T | null> {
  for (let attempt = 0; isWanted(); attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!isWanted()) break
      if ((error as { retriable?: unknown }).retriable !== true) throw error
      log.warn({ attempt, reason: messageOf(error) }, `${what} failed; trying again`)
      await clock.sleep(backoffMs(RETRY, attempt, random))
      await heartbeat?.()
    }
  }
  return null
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
