// Exponential backoff with full jitter: the wait is drawn evenly from [0, min(cap, base·2^attempt)), so that many
// clients that failed together do not come back together. Source: M. Brooker, "Exponential Backoff And Jitter", AWS
// Architecture Blog, 2015.

export interface BackoffOptions {
  readonly baseMs: number
  readonly capMs: number
}

/**
 * @param attempt 0 for the first retry
 * @param random uniform in [0, 1)
 * @returns ms to wait, at least 1
 */
export function backoffMs({ baseMs, capMs }: BackoffOptions, attempt: number, random: () => number): number {
  return Math.max(1, random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 30)))
}
