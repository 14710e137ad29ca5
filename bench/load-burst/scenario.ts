// What the load-burst benchmark does to the pipeline, as data: a base rate with bursts (the fleet's own, EM-1), and
// brownouts of the store at stated times. Pure; the seed decides which slices of "errors" are bad.
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { uniformInt } from 'pure-rand/distribution/uniformInt'

export const BURST = { factor: 10, lengthMs: 10_000, everyMs: 60_000 }
/** "Errors" consist of slices of this length; the store is unavailable in half of them on average. */
export const SLICE_MS = 500

export type BrownoutKind =
  /** No write succeeds for a moment. */
  | 'stall'
  /** No write succeeds until the sink has timed out several times. */
  | 'time-outs'
  /** No write succeeds half of the time. */
  | 'errors'

export interface Brownout {
  readonly kind: BrownoutKind
  /** After the fleet's start, ms. */
  readonly atMs: number
  readonly lengthMs: number
}

/** A calm start, one brownout in a calm stretch, one after a burst, one across a burst, and a burst to recover in. */
export const BROWNOUTS: readonly Brownout[] = [
  { kind: 'stall', atMs: 20_000, lengthMs: 5_000 },
  { kind: 'time-outs', atMs: 65_000, lengthMs: 30_000 },
  { kind: 'errors', atMs: 105_000, lengthMs: 30_000 },
]

/** Times at which the store is unavailable, ms after the fleet's start, ascending and disjoint. */
export function outages(brownouts: readonly Brownout[], seed: number): { fromMs: number; toMs: number }[] {
  const random = xoroshiro128plus(seed)
  return brownouts.flatMap(({ kind, atMs, lengthMs }) => {
    if (kind !== 'errors') return [{ fromMs: atMs, toMs: atMs + lengthMs }]
    const slices: { fromMs: number; toMs: number }[] = []
    for (let fromMs = atMs; fromMs < atMs + lengthMs; fromMs += SLICE_MS) {
      if (uniformInt(random, 0, 1) === 0) continue
      const last = slices.at(-1)
      if (last?.toMs === fromMs) last.toMs += SLICE_MS
      else slices.push({ fromMs, toMs: fromMs + SLICE_MS })
    }
    return slices
  })
}
