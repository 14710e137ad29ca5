// The total order as text: a line for people or a JSON object for programs. Names are untrusted, so nothing of
// theirs controls the terminal or starts a new line.
import type { Reading } from '../../../platform/codec/reading.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { escapeLine } from '../../core/decode.ts'

export interface ShownReading {
  readonly sequence: number
  /** Of clean. */
  readonly partition: number
  readonly offset: number
  /** When it got its sequence, ms. */
  readonly orderedMs: number
  readonly reading: Reading
}

const SEQUENCE = 10
const PLACE = 12
const TIME = 24
const SENSOR = 28

export const TABLE_HEAD = [
  'sequence'.padStart(SEQUENCE),
  'place'.padEnd(PLACE),
  'event time'.padEnd(TIME),
  'sensor'.padEnd(SENSOR),
  'metrics',
].join('  ')

/** Not every number of ms is a valid date. */
const timeOf = (ms: number): string => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms))

export function tableLine({ sequence, partition, offset, reading }: ShownReading): string {
  const cells = [
    String(sequence).padStart(SEQUENCE),
    `${partition}@${offset}`.padEnd(PLACE),
    timeOf(reading.ts).padEnd(TIME),
    `${reading.tenant_id}/${reading.sensor_id}`.padEnd(SENSOR),
    ...metricsOf(reading).map(([name, value]) => `${name}=${String(value)}`),
  ]
  return escapeLine(cells.join('  '))
}

/** The reading's fields, without the metrics it lacks. */
export function jsonLine({ sequence, partition, offset, orderedMs, reading }: ShownReading): string {
  const { tenant_id, site_id, node_id, sensor_id, epoch, seq, ts, tags } = reading
  const identity = { tenant_id, site_id, node_id, sensor_id, epoch, seq, ts }
  const place = { sequence, partition, offset, ordered_at: orderedMs }
  return escapeLine(JSON.stringify({ ...place, ...identity, ...Object.fromEntries(metricsOf(reading)), tags }))
}

const metricsOf = (reading: Reading): [string, unknown][] =>
  METRICS.map(({ name }): [string, unknown] => [name, reading[name]]).filter(([, value]) => value != null)
