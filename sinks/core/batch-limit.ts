// How many rows a batch may have: additive increase, multiplicative decrease, like TCP's window. A full batch
// written in time adds a few rows; a slow or timed-out one halves the next, so that a store that
// struggles gets less at a time and a probe of it is small. Errors that come immediately say nothing about size.

/**
 * Bigger batches cost less per row, since a hot page is written once per batch (bench/store.ts: 5,000 rows 9 µs, 20,000
 * rows 4 µs each), but hold the event loop for longer.
 */
export const BATCH_ROWS_MAX = 20_000
/** Below this a batch costs its transaction, not its rows. */
export const BATCH_ROWS_MIN = 500
/** From minimum back to maximum within 20 full batches. */
const STEP_ROWS = 1_000
/** A write is slow above this share of its deadline: by default a second, ten times what a full batch should take. */
const SLOW_SHARE = 0.2

/** What was observed about a write. */
export interface WriteShown {
  readonly rows: number
  readonly tookMs: number
  /** Deadline of the write. */
  readonly timeoutMs: number
}

/** The limit for the next batch. */
export function nextLimit(limit: number, { rows, tookMs, timeoutMs }: WriteShown): number {
  if (tookMs > timeoutMs * SLOW_SHARE) return Math.max(BATCH_ROWS_MIN, Math.floor(limit / 2))
  return rows >= limit ? Math.min(BATCH_ROWS_MAX, limit + STEP_ROWS) : limit
}
