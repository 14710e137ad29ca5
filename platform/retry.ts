// Trying again, written once: a bounded number of tries or a bounded time, waits with full jitter, an end by a signal or
// when nobody wants the result any more. Hand-written loops of this kind differ in what they forget, usually the bound,
// the jitter or the signal. Loops that only take the wait from backoff.ts say why: they restart something that runs for
// long, or decide between the tries. `pause` is the wait that a signal ends early without an error.
import { backoffMs, type BackoffOptions } from './backoff.ts'
import { type Clock, systemClock } from './clock.ts'

export interface RetryOptions {
  readonly backoff: BackoffOptions
  readonly clock?: Pick<Clock, 'mono' | 'sleep'>
  readonly random?: () => number
  /** Ends the waiting; work under way is not interrupted. */
  readonly signal?: AbortSignal
  /** Whether retrying may help; by default, what the error's own `retriable` says. */
  readonly isRetriable?: (error: unknown) => boolean
  /** Called after a failure, before the wait. @param attempt 0 after the first try */
  readonly onFailure?: (error: unknown, attempt: number) => void
  /** Called after the wait, before the next try: a heartbeat for instance. */
  readonly beforeRetry?: () => Promise<void>
  /** Asked after a failure: whether the try got further than the one before, so that the waits start from the shortest. */
  readonly hasProgressed?: () => boolean
}

/** At least one bound; whichever is reached first counts. */
export type RetryBound =
  { readonly triesMax: number; readonly forMs?: number } | { readonly triesMax?: number; readonly forMs: number }

/** Whether an error declares itself retriable. */
export const isRetriable = (error: unknown): boolean => (error as { retriable?: unknown } | null)?.retriable === true

/**
 * Tries until the work succeeds or its bound is reached.
 * @returns what the work returns; rejects with the last error, at once when it is not retriable or the signal has fired
 */
export async function retry<T>(work: () => Promise<T>, options: RetryOptions & RetryBound): Promise<T> {
  const { clock = systemClock, triesMax = Infinity, forMs = Infinity, signal } = options
  const deadline = clock.mono() + forMs
  for (let attempt = 0, tries = 1; ; attempt += 1, tries += 1) {
    try {
      return await work()
    } catch (error) {
      const isLast = tries >= triesMax || clock.mono() >= deadline
      if (isLast || hasFired(signal) || !mayHelp(options, error)) throw error
      attempt = await waitAfter(options, error, attempt)
      if (hasFired(signal)) throw error
    }
  }
}

/**
 * Retries for as long as the result is wanted: until the signal fires or `isWanted` returns false.
 * @returns null once it is not wanted; rejects with an error that is not retriable
 */
export async function retryWhile<T>(
  isWanted: () => boolean,
  work: () => Promise<T>,
  options: RetryOptions,
): Promise<T | null> {
  const goesOn = (): boolean => !hasFired(options.signal) && isWanted()
  for (let attempt = 0; goesOn(); attempt += 1) {
    try {
      return await work()
    } catch (error) {
      if (!goesOn()) break
      if (!mayHelp(options, error)) throw error
      attempt = await waitAfter(options, error, attempt)
    }
  }
  return null
}

/** Waits; a signal ends the wait early, without an error. */
export async function pause(
  ms: number,
  signal?: AbortSignal,
  clock: Pick<Clock, 'sleep'> = systemClock,
): Promise<void> {
  await clock.sleep(ms, signal).catch(() => undefined)
}

const hasFired = (signal: AbortSignal | undefined): boolean => signal?.aborted === true

const mayHelp = (options: RetryOptions, error: unknown): boolean => (options.isRetriable ?? isRetriable)(error)

/** Returns the attempt that has failed: 0 again after progress. */
async function waitAfter(options: RetryOptions, error: unknown, failed: number): Promise<number> {
  const { backoff, clock = systemClock, random = Math.random, signal, onFailure, beforeRetry, hasProgressed } = options
  const attempt = hasProgressed?.() === true ? 0 : failed
  onFailure?.(error, attempt)
  await pause(backoffMs(backoff, attempt, random), signal, clock)
  await beforeRetry?.()
  return attempt
}
