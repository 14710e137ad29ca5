// The freshness contract: every answer says how fresh and how complete it is, and one that is staler than asked for is
// never sent. Pure: the time is an argument.
//
// as_of         when the answer was made, ms since 1970 UTC
// data_through  whatever had arrived in the pipeline by this time is in the answer, ms. The sink finds it by marks
//               through the log (sinks/core/marks.ts); it is the least over all partitions, so one stuck partition
//               holds it back.
// staleness_ms  as_of − data_through
// completeness  see `completenessOf`
//
// In HTTP, `max-age` is the bound and `Age` the staleness, rounded so that a cache between us and the client can never
// serve beyond the bound either.
import type { Progress, SeqCount } from '../../platform/store/port.ts'

export interface Freshness {
  readonly as_of: number
  readonly data_through: number
  readonly staleness_ms: number
  readonly completeness: number | null
}

/**
 * Readings present / readings expected over the answer's sensors, 0 to 1. For each (sensor, epoch) with seq (epoch > 0)
 * in the answer's range, expected is last seq − first seq + 1 and present the readings with one of these seqs that are
 * there. So it counts gaps inside the range, named or still being waited for; what is missing before the first or
 * behind the last reading, or a sensor of which nothing came, cannot be seen by seq. Null where no source has seq.
 */
export function completenessOf({ present, expected }: SeqCount): number | null {
  return expected === 0 ? null : Math.min(1, present / expected)
}

/** The seq count of rows at hand, by the rule of `completenessOf`. */
export function countSeqs(rows: readonly { readonly epoch: number; readonly seq: number }[]): SeqCount {
  const lanes = new Map<number, { low: number; high: number; present: number }>()
  for (const { epoch, seq } of rows) {
    if (epoch === 0) continue
    const lane = lanes.get(epoch)
    if (lane === undefined) lanes.set(epoch, { low: seq, high: seq, present: 1 })
    else {
      lane.low = Math.min(lane.low, seq)
      lane.high = Math.max(lane.high, seq)
      lane.present += 1
    }
  }
  let present = 0
  let expected = 0
  for (const lane of lanes.values()) {
    present += lane.present
    expected += lane.high - lane.low + 1
  }
  return { present, expected }
}

/** The least `through` of the topics' partitions; null while one of them is not known yet. */
export function dataThrough(progress: readonly Progress[], topics: readonly string[]): number | null {
  const rows = progress.filter((row) => topics.includes(row.topic))
  const partitions = rows.reduce((max, row) => Math.max(max, row.partition + 1), 0)
  // Topics have equally many partitions; one that no sink has taken up yet has no row.
  if (partitions === 0 || rows.length < partitions * topics.length) return null
  let least = Infinity
  for (const { throughMs } of rows) {
    if (throughMs === null) return null
    least = Math.min(least, throughMs)
  }
  return least
}

export type Verdict =
  | { readonly fresh: true; readonly freshness: Freshness }
  /** Null: how stale it is, is not known. */
  | { readonly fresh: false; readonly stalenessMs: number | null }

/** @param boundMs staleness that the client accepts */
export function judge(asOfMs: number, throughMs: number | null, completeness: number | null, boundMs: number): Verdict {
  if (throughMs === null) return { fresh: false, stalenessMs: null }
  // The sink's clock may be a little ahead of ours: that is no negative staleness.
  const data_through = Math.min(throughMs, asOfMs)
  const staleness_ms = asOfMs - data_through
  if (staleness_ms > boundMs) return { fresh: false, stalenessMs: staleness_ms }
  return { fresh: true, freshness: { as_of: asOfMs, data_through, staleness_ms, completeness } }
}

/** Values of the headers Age and Cache-Control, seconds. */
export function cacheHeaders(
  stalenessMs: number,
  boundMs: number,
): { readonly age: string; readonly cacheControl: string } {
  const maxAge = Math.floor(boundMs / 1000)
  const age = Math.ceil(stalenessMs / 1000)
  // Private: an answer may depend on the bearer token. Past max-age it must be asked for anew.
  return {
    age: String(age),
    cacheControl: age > maxAge ? 'private, no-cache' : `private, max-age=${maxAge}, must-revalidate`,
  }
}
