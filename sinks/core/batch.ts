// One store batch out of what waits: units are what a fetch brought of one partition, lanes are partitions with their
// progress. Pure, so that the rules (progress moves with the rows, one step per partition, bounded size) can be tested.
import type { Reading } from '../../platform/codec/reading.ts'
import type { Anomaly, ProgressUpdate, ReadingRows, WriteBatch } from '../../platform/store/port.ts'
import type { Mark } from './marks.ts'

/** One assigned partition. */
export interface Lane {
  readonly topic: string
  readonly partition: number
  /** Offset in the store; null: the store has no row for the partition yet. */
  stored: number | null
  /** Next offset to read; equal to `stored` but for a tail without records that was skipped. */
  position: number
  throughMs: number | null
  marks: readonly Mark[]
  /** False as soon as the partition may be somebody else's. */
  active: boolean
  /** True once the consumer reads from the store's offset. */
  started: boolean
  /** True while a unit waits or is written. */
  busy: boolean
  /** When progress was last written, ms; -Infinity: never. */
  savedMs: number
}

/** What one fetch brought of one partition, decoded. */
export interface Unit {
  readonly lane: Lane
  readonly readings: readonly Reading[]
  readonly versions: Float64Array
  readonly arrivals: Float64Array
  readonly anomalies: readonly Anomaly[]
  readonly nextOffset: number
}

export const unitRows = (unit: Unit): number => unit.readings.length + unit.anomalies.length

/**
 * Rows after which a batch is full. Bigger batches cost less per row, since a hot page is written once per batch
 * (bench/store.ts: 5,000 rows 9 µs, 20,000 rows 4 µs each), but hold the event loop for longer.
 */
export const BATCH_ROWS = 20_000

/** The first units that fill a batch, at least one; takes them out of `waiting`. */
export function takeUnits(waiting: Unit[]): Unit[] {
  let rows = 0
  let taken = 0
  while (taken < waiting.length && rows < BATCH_ROWS) {
    rows += unitRows(waiting[taken])
    taken += 1
  }
  return waiting.splice(0, taken)
}

/** @param idle lanes without a unit whose progress is to be written as well */
export function composeBatch(units: readonly Unit[], idle: readonly Lane[]): WriteBatch {
  return {
    rows: concatRows(units),
    anomalies: units.flatMap((unit) => unit.anomalies),
    progress: [
      ...units.map((unit) => step(unit.lane, unit.nextOffset, eventMax(unit.readings))),
      ...idle.map((lane) => step(lane, lane.position, null)),
    ],
  }
}

const step = (
  { topic, partition, stored, throughMs }: Lane,
  offset: number,
  eventMs: number | null,
): ProgressUpdate => ({
  topic,
  partition,
  after: stored,
  offset,
  throughMs,
  eventMs,
})

function concatRows(units: readonly Unit[]): ReadingRows {
  if (units.length === 1) return units[0]
  const readings = units.flatMap((unit) => unit.readings)
  const versions = new Float64Array(readings.length)
  const arrivals = new Float64Array(readings.length)
  let at = 0
  for (const unit of units) {
    versions.set(unit.versions.subarray(0, unit.readings.length), at)
    arrivals.set(unit.arrivals.subarray(0, unit.readings.length), at)
    at += unit.readings.length
  }
  return { readings, versions, arrivals }
}

function eventMax(readings: readonly Reading[]): number | null {
  let max = -Infinity
  for (const { ts } of readings) if (ts > max) max = ts
  return max === -Infinity ? null : max
}
