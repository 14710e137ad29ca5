// One store batch out of what waits: units are what a fetch brought of one partition, slices are the parts of them that
// fit a batch, lanes are partitions with their progress. Pure, so that the rules (progress moves with the rows, one
// step per partition, bounded size) can be tested.
import type { Reading } from '../../platform/codec/reading.ts'
import type { FetchedBatch } from '../../platform/kafka/port.ts'
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

/** What one fetch brought of one partition, decoded. Its rows are either readings or anomalies. */
export interface Unit {
  readonly lane: Lane
  /** The bytes, for a row that the store will never take. */
  readonly batch: FetchedBatch
  readonly readings: readonly Reading[]
  readonly versions: Float64Array
  readonly arrivals: Float64Array
  readonly anomalies: readonly Anomaly[]
  /** Offset of each row. */
  readonly offsets: Float64Array
  readonly nextOffset: number
}

/** A unit on its way into the store. */
export interface Waiting extends Unit {
  /** Rows before this one are in the store or dead-lettered, and the next batch's progress says so. */
  done: number
}

/** The rows [from, to) of a unit; none is a step of progress alone. */
export interface Slice<U extends Unit = Unit> {
  readonly unit: U
  readonly from: number
  readonly to: number
}

export const unitRows = (unit: Unit): number => unit.readings.length + unit.anomalies.length

export const sliceRows = (slices: readonly Slice[]): number => slices.reduce((sum, { from, to }) => sum + to - from, 0)

/** The first rows that wait, `rowsMax` at most; units without rows come along. What is taken stays in `waiting`. */
export function takeSlices<U extends Waiting>(waiting: readonly U[], rowsMax: number): Slice<U>[] {
  const slices: Slice<U>[] = []
  let room = rowsMax
  for (const unit of waiting) {
    const left = unitRows(unit) - unit.done
    if (left > 0 && room === 0) break
    const taken = Math.min(left, room)
    slices.push({ unit, from: unit.done, to: unit.done + taken })
    room -= taken
  }
  return slices
}

/** Splits at the middle row: neither part is empty where there are two rows or more. */
export function halve<U extends Unit>(slices: readonly Slice<U>[]): [Slice<U>[], Slice<U>[]] {
  const first: Slice<U>[] = []
  const second: Slice<U>[] = []
  let room = Math.floor(sliceRows(slices) / 2)
  for (const { unit, from, to } of slices) {
    const middle = Math.min(to, from + room)
    if (middle > from) first.push({ unit, from, to: middle })
    if (to > middle) second.push({ unit, from: middle, to })
    room -= middle - from
  }
  return [first, second]
}

/** Where reading goes on behind a slice: behind its unit, or at its next row. */
export const offsetAfter = ({ unit, to }: Slice): number => (to === unitRows(unit) ? unit.nextOffset : unit.offsets[to])

/** Rows and the progress that goes with them. @param idle lanes without a unit whose progress is to be written as well */
export function composeBatch(slices: readonly Slice[], idle: readonly Lane[]): WriteBatch {
  return {
    ...composeRows(slices),
    progress: [
      // Rows before `from` may have gone in without progress: the greatest event time is that of all up to `to`.
      ...slices.map((slice) => step(slice.unit.lane, offsetAfter(slice), eventMax(slice))),
      ...idle.map((lane) => step(lane, lane.position, null)),
    ],
  }
}

/** Rows without progress: for finding those that the store never takes. Written again, they change nothing. */
export function composeRows(slices: readonly Slice[]): WriteBatch {
  return {
    rows: concatRows(slices),
    anomalies: slices.flatMap(({ unit, from, to }) => unit.anomalies.slice(from, to)),
    progress: [],
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

function concatRows(slices: readonly Slice[]): ReadingRows {
  if (slices.length === 1 && sliceRows(slices) === unitRows(slices[0].unit)) return slices[0].unit
  const readings = slices.flatMap(({ unit, from, to }) => unit.readings.slice(from, to))
  const versions = new Float64Array(readings.length)
  const arrivals = new Float64Array(readings.length)
  let at = 0
  for (const { unit, from, to } of slices) {
    if (unit.readings.length === 0) continue
    versions.set(unit.versions.subarray(from, to), at)
    arrivals.set(unit.arrivals.subarray(from, to), at)
    at += to - from
  }
  return { readings, versions, arrivals }
}

function eventMax({ unit: { readings }, to }: Slice): number | null {
  let max = -Infinity
  for (let i = 0; i < Math.min(to, readings.length); i += 1) if (readings[i].ts > max) max = readings[i].ts
  return max === -Infinity ? null : max
}
