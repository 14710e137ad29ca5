// Bounds of the numbers that can be set in more than one way: by an environment variable (config.ts), by the runtime
// configuration (runtime-config/settings.ts) and by a control record in raw (stream-jobs/refine/core/settings.ts). A
// value that one of them accepts must not be refused by the next.
import { z } from 'zod'

export interface Bounds {
  readonly min: number
  readonly max: number
  /** Whether it must be a whole number. */
  readonly whole: boolean
}

const whole = (min: number, max: number): Bounds => ({ min, max, whole: true })

export const BOUNDS = {
  gapTimeoutMs: whole(1, 3_600_000),
  gapBuffer: whole(1, 65_536),
  holdBackMs: whole(1, 3_600_000),
  holdBackBuffer: whole(1, 65_536),
  futureMs: whole(0, 86_400_000),
  aheadMs: whole(0, 86_400_000),
  window: whole(2, 100_000),
  minSamples: whole(2, 100_000),
  z: { min: 0.1, max: 1_000, whole: false },
  rateHz: { min: 0.001, max: 1_000, whole: false },
} as const satisfies Record<string, Bounds>

/** The check of an environment variable. */
export const within = ({ min, max, whole: isWhole }: Bounds) => {
  const bounded = z.coerce.number().min(min).max(max)
  return isWhole ? bounded.int() : bounded
}
