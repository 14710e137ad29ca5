// What the readings of a file have, sensor by sensor and metric by metric: how many values, from where to where. A mapping
// that puts a power into a temperature is seen here at a glance. Bounded: more series than the limit are counted as one.
import { METRIC_NAMES, type Reading } from '../../../../platform/codec/reading.ts'
import { metricHint } from './units.ts'
import type { Origin } from './warnings.ts'

export interface Series {
  readonly sensor: string
  readonly metric: string
  values: number
  min: number
  max: number
}

const SERIES_MAX = 1_000

export class Statistics {
  readonly #series = new Map<string, Map<string, Series>>()
  readonly #lastTs = new Map<string, number>()
  #count = 0
  /** Readings whose time is not after that of their sensor's previous one: they will count as late. */
  backwards = 0
  /** Values of series beyond the limit. */
  others = 0

  add(reading: Reading): void {
    const sensor = `${reading.tenant_id}/${reading.sensor_id}`
    const last = this.#lastTs.get(sensor)
    if (last !== undefined && reading.ts <= last) this.backwards += 1
    if (last !== undefined || this.#lastTs.size < SERIES_MAX)
      this.#lastTs.set(sensor, Math.max(reading.ts, last ?? -Infinity))
    for (const metric of METRIC_NAMES) {
      const value = reading[metric]
      if (typeof value === 'number') this.#addValue(sensor, reading.sensor_id, metric, value)
    }
  }

  #addValue(key: string, sensor: string, metric: string, value: number): void {
    const metrics = this.#series.get(key) ?? new Map<string, Series>()
    const series = metrics.get(metric)
    if (series === undefined) {
      if (this.#count >= SERIES_MAX) {
        this.others += 1
        return
      }
      this.#count += 1
      this.#series.set(key, metrics.set(metric, { sensor, metric, values: 1, min: value, max: value }))
      return
    }
    series.values += 1
    series.min = Math.min(series.min, value)
    series.max = Math.max(series.max, value)
  }

  get series(): Series[] {
    return [...this.#series.values()].flatMap((metrics) => [...metrics.values()])
  }

  /** Sensors whose name speaks of a metric that they do not have, for warnings. */
  get origins(): Origin[] {
    return [...this.#series.values()].flatMap((metrics) => {
      const [first] = metrics.values()
      const hint = metricHint(first.sensor)
      if (hint === null || metrics.has(hint)) return []
      return [{ entry: { metric: first.metric, factor: 1, offset: 0 }, name: first.sensor, unit: '' }]
    })
  }
}
