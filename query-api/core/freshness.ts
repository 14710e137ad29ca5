// The freshness contract: every answer says how fresh and how complete it is, and one that is staler than asked for is
// never sent. Pure: the time is an argument.
//
// as_of         when the answer was made, ms since 1970 UTC
// data_through  whatever had arrived in the pipeline by this time is in the answer, ms. The sink finds it by marks
//               through the log (sinks/core/marks.ts); it is the least over the partitions that the answer depends on:
//               that of the sensor asked for, or all of them. So a partition that is stuck or held by an open
//               transaction holds back what depends on it, and nothing else.
// staleness_ms  as_of − data_through
// completeness  see `completenessOf`
//
// In HTTP, `max-age` is the bound and `Age` the staleness, rounded so that a cache between us and the client can never
// serve beyond the bound either.
import { sensorKey } from '../../platform/codec/identity.ts'
import { partitionOfKey } from '../../platform/kafka/partitioner.ts'
import type { Progress, SensorRef, SeqCount } from '../../platform/store/port.ts'

export interface Freshness {
  readonly as_of: number
  readonly data_through: number
  readonly staleness_ms: number
  readonly completeness: number | null
}

/** How far one partition of one topic is stored; null: not known yet. */
export interface PartitionThrough {
  readonly topic: string
  readonly partition: number
  readonly throughMs: number | null
}

/**
 * Readings present / readings expected over the answer's sensors, 0 to 1. For each (sensor, epoch) with seq (epoch > 0)
 * in the answer's range, expected is last seq − first seq + 1 and present the readings with one of these seqs that are
 * there, those that corrected another included. So it counts gaps inside the range, named or still being waited for; what is missing before the first or
 * after the last reading, or a sensor of which nothing came, cannot be seen by seq. Null where no source has seq.
 */
export function completenessOf({ present, expected }: SeqCount): number | null {
  return expected === 0 ? null : Math.min(1, present / expected)
}

/**
 * The partitions that an answer depends on.
 * @param topics that the answer is made of; all topics of data have equally many partitions
 * @param sensor that the answer is about; null: it depends on all partitions
 */
export function partitionsFor(
  progress: readonly Progress[],
  topics: readonly string[],
  sensor: SensorRef | null,
): PartitionThrough[] {
  const count = progress.reduce((max, { partition }) => Math.max(max, partition + 1), 0)
  const own = sensor === null || count === 0 ? null : partitionOfSensor(sensor, count)
  const known = new Map(progress.map(({ topic, partition, throughMs }) => [`${topic}/${partition}`, throughMs]))
  return topics.flatMap((topic) =>
    Array.from({ length: count }, (_, partition) => partition)
      .filter((partition) => own === null || partition === own)
      // A partition that no sink has taken up yet has no row.
      .map((partition) => ({ topic, partition, throughMs: known.get(`${topic}/${partition}`) ?? null })),
  )
}

/** Partitions named in one sentence. */
const NAMED_MAX = 8
const utf8 = new TextEncoder()

/** As every producer of keyed records has it (platform/kafka/partitioner.ts). */
function partitionOfSensor({ tenant, sensor }: SensorRef, partitions: number): number {
  return partitionOfKey(utf8.encode(sensorKey(tenant, sensor)), partitions)
}

/** The least over the partitions; null while one of them is not known yet, or none is there. */
export function dataThrough(partitions: readonly PartitionThrough[]): number | null {
  let least = Infinity
  for (const { throughMs } of partitions) {
    if (throughMs === null) return null
    least = Math.min(least, throughMs)
  }
  return least === Infinity ? null : least
}

/** A partition that holds an answer back, as the answer names it. */
export interface Behind {
  readonly topic: string
  readonly partition: number
  /** Null: not known. */
  readonly staleness_ms: number | null
}

/** The partitions that are more than `boundMs` behind, or of which nothing is known yet; the stalest first. */
export function partitionsBehind(partitions: readonly PartitionThrough[], asOfMs: number, boundMs: number): Behind[] {
  return partitions
    .map(({ throughMs, ...at }) => ({ ...at, staleness_ms: throughMs === null ? null : asOfMs - throughMs }))
    .filter(({ staleness_ms }) => staleness_ms === null || staleness_ms > boundMs)
    .sort((a, b) => (b.staleness_ms ?? Infinity) - (a.staleness_ms ?? Infinity))
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
  // Private: an answer may depend on the bearer token. Past max-age a cache must ask again.
  return {
    age: String(age),
    cacheControl: age > maxAge ? 'private, no-cache' : `private, max-age=${maxAge}, must-revalidate`,
  }
}

/** How fresh the store is, for people: partitions that hold answers back are named. */
export function describeFreshness(partitions: readonly PartitionThrough[], asOfMs: number, boundMs: number): string {
  const through = dataThrough(partitions)
  const behind = partitionsBehind(partitions, asOfMs, boundMs)
  const whole = through === null ? 'staleness not known yet' : `${Math.max(0, asOfMs - through)} ms stale`
  if (behind.length === 0 || through === null) return whole
  const names = behind
    .slice(0, NAMED_MAX)
    .map(({ topic, partition, staleness_ms }) => `${topic}/${partition} by ${staleness_ms} ms`)
  const more = behind.length > NAMED_MAX ? ` and ${behind.length - NAMED_MAX} more` : ''
  return `${whole}; behind: ${names.join(', ')}${more}`
}
