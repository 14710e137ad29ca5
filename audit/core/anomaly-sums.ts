// What the anomalies of each sensor add up to: a sum of hashes of all their fields, so that one that is missing, added
// or altered in any of them shows, and none is kept in memory. The topic's side and the store's are compared by sensor.
import { murmur2 } from '../../platform/kafka/partitioner.ts'
import type { Anomaly } from '../../platform/store/port.ts'

interface Sum {
  count: number
  low: number
  high: number
  /** Least event time, ms. */
  from: number
}

export class AnomalySums {
  /** By key (latin1 text). */
  readonly #sums = new Map<string, Sum>()
  count = 0

  add(key: string, anomaly: Anomaly): void {
    const sum = this.#sums.get(key) ?? { count: 0, low: 0, high: 0, from: Infinity }
    this.#sums.set(key, sum)
    // Two hashes that collide independently: the text begins at another place of the four-byte blocks.
    const text = textOf(anomaly)
    sum.count += 1
    sum.low = (sum.low + hashOf(text)) | 0
    sum.high = (sum.high + hashOf(` ${text}`)) | 0
    sum.from = Math.min(sum.from, anomaly.ts)
    this.count += 1
  }

  /** Least event time of a sensor's anomalies; infinity where it has none. */
  fromOf(key: string): number {
    return this.#sums.get(key)?.from ?? Infinity
  }

  countOf(key: string): number {
    return this.#sums.get(key)?.count ?? 0
  }

  /** Keys of the sensors that differ. */
  differing(other: AnomalySums): string[] {
    const keys = new Set([...this.#sums.keys(), ...other.#sums.keys()])
    return [...keys].filter((key) => {
      const [a, b] = [this.#sums.get(key), other.#sums.get(key)]
      return a?.count !== b?.count || a?.low !== b?.low || a?.high !== b?.high
    })
  }
}

/** The fields that tell anomalies of one sensor apart. */
export const anomalyName = ({ ts, metric, detector }: Anomaly): string => `ts ${ts} ${metric} (${detector})`

/** Fields that are compared; those before are the identity. */
const COMPARED = [
  ...(['site_id', 'node_id', 'epoch', 'seq', 'value', 'score', 'threshold', 'mean', 'stddev', 'window_count'] as const),
]

/** The fields of a stored anomaly that are not as they must be, for people. */
export const anomalyDifferences = (wanted: Anomaly, stored: Anomaly): string[] =>
  COMPARED.filter((field) => JSON.stringify(wanted[field]) !== JSON.stringify(stored[field])).map(
    (field) => `${field} ${JSON.stringify(stored[field])} in the store; it must be ${JSON.stringify(wanted[field])}`,
  )

/** Numbers that no store has to keep (NaN, infinity) are null in JSON; so is the sign of zero gone. */
const textOf = (anomaly: Anomaly): string =>
  JSON.stringify([anomaly.ts, anomaly.metric, anomaly.detector, ...COMPARED.map((field) => anomaly[field])])

function hashOf(text: string): number {
  const bytes = Buffer.from(text)
  return murmur2(bytes, 0, bytes.length)
}
