// Reads Prometheus' text format as far as prom-client writes it, and answers what the panel asks: sums of counters and
// gauges by label, growth between two readings of the same process, and quantiles of histograms.
// Format: https://prometheus.io/docs/instrumenting/exposition_formats/

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Samples by name. */
export type Exposition = ReadonlyMap<string, readonly Sample[]>

export type Labels = Readonly<Record<string, string>>

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)/
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g
const ESCAPES: Readonly<Record<string, string>> = { '\\n': '\n', '\\"': '"', '\\\\': '\\' }

/** @param text a whole answer of /metrics; lines that are no samples are skipped */
export function parseExposition(text: string): Exposition {
  const samples = new Map<string, Sample[]>()
  for (const line of text.split('\n')) {
    const match = LINE.exec(line)
    if (match === null) continue
    const [, name, labels = '', value] = match
    const sample = { labels: parseLabels(labels), value: numberOf(value) }
    const known = samples.get(name)
    if (known === undefined) samples.set(name, [sample])
    else known.push(sample)
  }
  return samples
}

function parseLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  for (const [, name, value] of text.matchAll(LABEL))
    labels[name] = value.replace(/\\[n"\\]/g, (escape) => ESCAPES[escape])
  return labels
}

const numberOf = (text: string): number => (text === '+Inf' ? Infinity : text === '-Inf' ? -Infinity : Number(text))

/** Sum over the samples that have these labels; 0 when there are none. */
export function sum(exposition: Exposition, name: string, labels: Labels = {}): number {
  let total = 0
  for (const sample of exposition.get(name) ?? []) if (matches(sample, labels)) total += sample.value
  return total
}

/** Growth of a counter. A process that restarted counts from 0, as in Prometheus' `increase`. */
export function increase(before: Exposition | undefined, after: Exposition, name: string, labels: Labels = {}): number {
  const now = sum(after, name, labels)
  const then = before === undefined ? now : sum(before, name, labels)
  return now >= then ? now - then : now
}

/** Cumulative counts of a histogram by upper bound, in rising order. */
export type Buckets = readonly (readonly [bound: number, count: number])[]

/** How a histogram grew, over all label sets that match. */
export function bucketIncrease(
  before: Exposition | undefined,
  after: Exposition,
  name: string,
  labels: Labels = {},
): Buckets {
  const now = bucketCounts(after, name, labels)
  const then = before === undefined ? now : bucketCounts(before, name, labels)
  const isReset = (then.get(Infinity) ?? 0) > (now.get(Infinity) ?? 0)
  return [...now]
    .map(([bound, count]) => [bound, isReset ? count : count - (then.get(bound) ?? 0)] as const)
    .sort(([a], [b]) => a - b)
}

function bucketCounts(exposition: Exposition, name: string, labels: Labels): Map<number, number> {
  const counts = new Map<number, number>()
  for (const sample of exposition.get(`${name}_bucket`) ?? []) {
    if (!matches(sample, labels)) continue
    const bound = numberOf(sample.labels.le)
    counts.set(bound, (counts.get(bound) ?? 0) + sample.value)
  }
  return counts
}

/** Buckets of several processes with the same bounds, added up. */
export function mergeBuckets(all: readonly Buckets[]): Buckets {
  const counts = new Map<number, number>()
  for (const buckets of all) for (const [bound, count] of buckets) counts.set(bound, (counts.get(bound) ?? 0) + count)
  return [...counts].sort(([a], [b]) => a - b)
}

/**
 * A quantile of the observations up to the last finite bound, interpolated evenly within its bucket as by Prometheus'
 * `histogram_quantile`. What is above is left out, see `shareBeyond`.
 * @returns null without observations
 */
export function quantile(buckets: Buckets, q: number): number | null {
  const finite = buckets.filter(([bound]) => bound !== Infinity)
  const total = finite.at(-1)?.[1] ?? 0
  if (total <= 0) return null
  const rank = q * total
  let lower = 0
  let below = 0
  for (const [bound, count] of finite) {
    if (count >= rank) return count === below ? bound : lower + ((bound - lower) * (rank - below)) / (count - below)
    lower = bound
    below = count
  }
  return lower
}

/** Share of the observations above the last finite bound, 0 to 1. */
export function shareBeyond(buckets: Buckets): number {
  const total = buckets.at(-1)?.[1] ?? 0
  return total <= 0 ? 0 : (total - (buckets.at(-2)?.[1] ?? 0)) / total
}

const matches = ({ labels: has }: Sample, wanted: Labels): boolean =>
  Object.entries(wanted).every(([name, value]) => has[name] === value)
