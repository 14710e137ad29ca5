// Values that are impossible. An aggregate that breaks an invariant is computed again and, if it still does, refused: a
// wrong number that looks right is worse than none.
import type { Metric } from '../../schemas/metrics.ts'
import type { AggregateWindow } from '../../platform/store/port.ts'

/** What is wrong with the windows; null: nothing. */
export function brokenInvariant(windows: readonly AggregateWindow[], metrics: readonly Metric[]): string | null {
  for (const { start, count, metrics: found } of windows) {
    if (!(count >= 0)) return `window ${start}: count is ${count}`
    for (const metric of metrics) {
      const value = found[metric.name]
      if (value === undefined) continue
      const { count: having, min, max, avg, increase } = value
      const where = `window ${start}, ${metric.name}`
      if (!(having >= 1 && having <= count)) return `${where}: ${having} values in ${count} readings`
      if (!(min <= avg && avg <= max)) return `${where}: min ${min}, avg ${avg}, max ${max}`
      if (!(min >= metric.min && max <= metric.max))
        return `${where}: ${min} to ${max} ${metric.unit} is outside its bounds`
      if (increase !== undefined && !(increase >= 0)) return `${where}: grew by ${increase}`
    }
  }
  return null
}
