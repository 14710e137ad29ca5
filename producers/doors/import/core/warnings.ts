// Where a mapping contradicts what the file says of itself: a unit that needs another factor, a name that speaks of
// another metric. Shown by the preview and before an import; the person who gave the mapping decides.
import type { MetricEntry } from './names.ts'
import { conversionOf, factorText, metricHint, unitIn, unitOf } from './units.ts'

/** Where the values of a metric come from, as the file names it. */
export interface Origin {
  readonly entry: Pick<MetricEntry, 'metric' | 'factor' | 'offset'>
  /** The column, the name in a column of names, or the sensor. */
  readonly name: string
  /** Of a units row; empty for none. */
  readonly unit: string
}

/** A sentence for each contradiction. */
export function contradictions(origins: readonly Origin[]): string[] {
  return origins.flatMap((origin) => {
    const found = unitProblem(origin) ?? nameProblem(origin)
    return found === null ? [] : [found]
  })
}

function unitProblem({ entry, name, unit }: Origin): string | null {
  const text = unit === '' ? unitIn(name) : unit
  const conversion = conversionOf(text)
  if (conversion === null) return null
  const ours = unitOf(entry.metric)
  if (conversion.unit !== ours) return `${name} is in ${text}, and becomes ${entry.metric}, which is in ${ours}`
  if (closeTo(conversion.factor, entry.factor) && closeTo(conversion.offset, entry.offset)) return null
  const needed = factorText(conversion)
  const given = factorText(entry)
  return `${name} is in ${text}, and ${entry.metric} is in ${ours}: that needs ${needed === '' ? 'no factor' : needed}, and ${given === '' ? 'none' : given} is given`
}

function nameProblem({ entry, name }: Origin): string | null {
  const hint = metricHint(name)
  if (hint === null || hint === entry.metric) return null
  return `${name} becomes ${entry.metric} (${unitOf(entry.metric)}), but its name speaks of ${hint} (${unitOf(hint)})`
}

const closeTo = (a: number, b: number): boolean => Math.abs(a - b) <= 0.001 * Math.max(Math.abs(a), Math.abs(b))
