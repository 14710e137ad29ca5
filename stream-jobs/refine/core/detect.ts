// The detector's part of a step: the z-score of each metric of an emitted reading against the sensor's window before it.
import type { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { MetricWindow } from './metric-window.ts'
import type { Outputs, RecordBytes } from './outputs.ts'
import type { Sensor } from './sensor.ts'
import type { CoreSettings } from './settings.ts'

/**
 * Scores a reading and takes it into the windows.
 * @param scanner has just scanned the reading
 * @param thresholds by metric
 * @returns how many anomalies there were
 */
export function detect(
  sensor: Sensor,
  record: RecordBytes,
  { metrics }: ReadingScanner,
  { window: size, minSamples }: CoreSettings,
  thresholds: Float64Array,
  out: Outputs,
): number {
  let anomalies = 0
  for (let metric = 0; metric < metrics.length; metric += 1) {
    const value = metrics[metric]
    if (value !== value) continue // NaN: the reading has no such metric
    const window = (sensor.windows[metric] ??= new MetricWindow(value))
    const z = Math.abs(window.z(value, minSamples))
    const threshold = thresholds[metric]
    if (z > threshold) {
      anomalies += 1
      const mean = window.center()
      out.anomaly(record, { metric, value, z, threshold, mean, stddev: window.stddev(), windowCount: window.count })
    }
    window.push(value, size)
  }
  return anomalies
}
