// The threshold of every metric of a sensor. It follows from the settings and from the site and node that the reading
// itself names, from nothing else, so that a replay finds the same one. What was found is kept with the sensor and holds
// until the settings change or the sensor names another place: per reading that costs the comparison of two short
// names, and nothing at all while no site and no node has a threshold of its own.
import { NODE, SITE } from '../../../platform/codec/reading-plan.ts'
import type { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { copyOf } from './record-bytes.ts'
import type { Sensor } from './sensor.ts'
import type { CoreSettings } from './settings.ts'

const UTF8 = new TextDecoder()

/** What was found for a sensor. */
export interface Found {
  /** By the settings of these thresholds. */
  readonly by: Thresholds
  /** Site and node for which it was resolved, UTF-8. */
  readonly site: Uint8Array
  readonly node: Uint8Array
  /** By metric. */
  readonly z: Float64Array
}

export class Thresholds {
  /** If neither site nor node has one. */
  readonly #usual: Float64Array
  readonly #bySite: ReadonlyMap<string, number>
  readonly #byNode: ReadonlyMap<string, number>

  constructor({ z, zByMetric, zBySite, zByNode }: CoreSettings) {
    const byMetric = new Map(zByMetric)
    this.#usual = Float64Array.from(METRICS, ({ name }) => byMetric.get(name) ?? z)
    this.#bySite = new Map(zBySite)
    this.#byNode = new Map(zByNode)
  }

  /**
   * The thresholds that apply to a reading, by metric.
   * @param scanner has just scanned the reading, whose bytes are given
   */
  of(sensor: Sensor, scanner: ReadingScanner, bytes: Uint8Array): Float64Array {
    if (this.#bySite.size === 0 && this.#byNode.size === 0) return this.#usual
    const { idAt, idLength } = scanner
    const found = sensor.thresholds
    if (
      found !== null &&
      found.by === this &&
      isAt(found.site, bytes, idAt[SITE], idLength[SITE]) &&
      isAt(found.node, bytes, idAt[NODE], idLength[NODE])
    )
      return found.z
    const site = copyOf(bytes, idAt[SITE], idLength[SITE])
    const node = copyOf(bytes, idAt[NODE], idLength[NODE])
    const z = this.#find(UTF8.decode(site), UTF8.decode(node))
    sensor.thresholds = { by: this, site, node, z }
    return z
  }

  /** Node before site before metric before fleet, as platform/runtime-config/document.ts says. */
  #find(site: string, node: string): Float64Array {
    const z = this.#byNode.get(node) ?? this.#bySite.get(site)
    return z === undefined ? this.#usual : new Float64Array(METRICS.length).fill(z)
  }
}

function isAt(name: Uint8Array, bytes: Uint8Array, at: number, length: number): boolean {
  if (name.length !== length) return false
  for (let i = 0; i < length; i += 1) if (name[i] !== bytes[at + i]) return false
  return true
}
