// A retry budget: a bucket of retries that fills with time. Jitter alone only says how far apart retries are on
// average; the budget makes it a promise: within any T seconds there are at most `burst + perSecond · T` retries, so
// a store that comes back slowly is not pushed down again.

export interface RetryBudget {
  /** Retries that may follow each other without waiting for the budget. */
  readonly burst: number
  readonly perSecond: number
}

export interface BudgetLevel {
  /** Retries left; below 0 as far as one has been promised that the budget has yet to earn. */
  readonly left: number
  readonly atMs: number
}

export const fullBudget = ({ burst }: RetryBudget, nowMs: number): BudgetLevel => ({ left: burst, atMs: nowMs })

/** Takes one retry. @returns the new level, and ms to wait before the retry so that the promise holds */
export function takeRetry(
  { burst, perSecond }: RetryBudget,
  level: BudgetLevel,
  nowMs: number,
): { level: BudgetLevel; waitMs: number } {
  const earned = (Math.max(0, nowMs - level.atMs) / 1_000) * perSecond
  const left = Math.min(burst, level.left + earned) - 1
  return { level: { left, atMs: nowMs }, waitMs: left < 0 ? (-left / perSecond) * 1_000 : 0 }
}

/** The most retries within so many seconds. */
export const retriesWithin = ({ burst, perSecond }: RetryBudget, seconds: number): number =>
  Math.floor(burst + perSecond * seconds)
