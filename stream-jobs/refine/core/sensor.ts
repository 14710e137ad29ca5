// What refine knows of one sensor: the greatest event time it emitted, a lane per epoch, the hold-back of readings
// without seq, and a window per metric.
import { METRICS } from '../../../schemas/metrics.ts'
import type { HoldBack } from './hold-back.ts'
import { Lane } from './lane.ts'
import type { MetricWindow } from './metric-window.ts'
import { SensorClock } from './sensor-clock.ts'
import type { Found } from './thresholds.ts'

/** Sensors per partition; the state of one is some 4 KB. Beyond it readings of new sensors are dead letters. */
export const SENSORS_MAX = 500_000

/**
 * Epochs per sensor. A new epoch means a new write-ahead log, which is rare; when more are seen the one that was used
 * longest ago is forgotten, and its stragglers are late or regressed, never twice in clean.
 */
const LANES_MAX = 8

export class Sensor {
  readonly key: string
  lastTs: number
  /** Most recently used first. */
  readonly lanes: Lane[] = []
  holdBack: HoldBack | null = null
  readonly clock: SensorClock
  windows: (MetricWindow | null)[] = new Array<MetricWindow | null>(METRICS.length).fill(null)
  /** Follows from the settings and the reading, so it is in no snapshot. */
  thresholds: Found | null = null

  constructor(key: string, lastTs = -Infinity, clock = new SensorClock()) {
    this.key = key
    this.clock = clock
    this.lastTs = lastTs
  }

  /** The lane of an epoch, or null; it becomes the most recently used one. */
  lane(epoch: number): Lane | null {
    const { lanes } = this
    if (lanes.length > 0 && lanes[0].epoch === epoch) return lanes[0]
    for (let i = 1; i < lanes.length; i += 1) {
      if (lanes[i].epoch === epoch) {
        const [lane] = lanes.splice(i, 1)
        lanes.unshift(lane)
        return lane
      }
    }
    return null
  }

  /**
   * Opens the lane of an epoch.
   * @returns the lane, and the one that had to be forgotten (its held readings must still be emitted)
   */
  open(epoch: number): { lane: Lane; forgotten: Lane | null } {
    const lane = new Lane(epoch)
    this.lanes.unshift(lane)
    return { lane, forgotten: this.lanes.length > LANES_MAX ? this.lanes.pop()! : null }
  }

  /** Its windows for changed settings: none keeps more samples than that. */
  resizedWindows(size: number): (MetricWindow | null)[] {
    return this.windows.map((window) => window?.resized(size) ?? null)
  }

  /** Readings waiting in any lane that will be emitted. */
  buffered(): number {
    let count = this.holdBack === null ? 0 : this.holdBack.held.length
    for (const lane of this.lanes) for (const held of lane.held) if (held.live) count += 1
    return count
  }

  heldBytes(): number {
    let bytes = this.holdBack?.heldBytes() ?? 0
    for (const lane of this.lanes) bytes += lane.heldBytes()
    return bytes
  }
}
