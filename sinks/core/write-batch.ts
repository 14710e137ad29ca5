// Builds one store transaction from what is pending: a decoded batch is one partition's part of a fetch, slices are
// the parts of them that fit the transaction. Pure, so that the rules (progress moves with the rows, one step per
// partition, bounded size) can be tested.
import type { Reading } from '../../platform/codec/reading.ts'
import type { FetchedBatch } from '../../platform/kafka/port.ts'
import type { Anomaly, ProgressUpdate, ReadingRows, WriteBatch } from '../../platform/store/port.ts'
import type { SinkPartition } from './sink-partition.ts'

/** One partition's part of a fetch, decoded. Its rows are either readings or anomalies. */
export interface DecodedBatch {
  readonly partition: SinkPartition
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

/** A decoded batch that is being written to the store. */
export interface WaitingBatch extends DecodedBatch {
  /** Rows before this one are in the store or dead-lettered; the next transaction moves progress past them. */
  done: number
}

/** The rows [from, to) of a decoded batch; none is a step of progress alone. */
export interface Slice<U extends DecodedBatch = DecodedBatch> {
  readonly decoded: U
  readonly from: number
  readonly to: number
}

export const rowCount = (decoded: DecodedBatch): number => decoded.readings.length + decoded.anomalies.length

export const sliceRows = (slices: readonly Slice[]): number => slices.reduce((sum, { from, to }) => sum + to - from, 0)

/** The first waiting rows, at most `rowsMax`; batches without rows are included. What is taken stays in `waiting`. */
export function takeSlices<U extends WaitingBatch>(waiting: readonly U[], rowsMax: number): Slice<U>[] {
  const slices: Slice<U>[] = []
  let room = rowsMax
  for (const decoded of waiting) {
    const left = rowCount(decoded) - decoded.done
    if (left > 0 && room === 0) break
    const taken = Math.min(left, room)
    slices.push({ decoded, from: decoded.done, to: decoded.done + taken })
    room -= taken
  }
  return slices
}

/** Splits at the middle row: neither part is empty where there are two rows or more. */
export function halve<U extends DecodedBatch>(slices: readonly Slice<U>[]): [Slice<U>[], Slice<U>[]] {
  const first: Slice<U>[] = []
  const second: Slice<U>[] = []
  let room = Math.floor(sliceRows(slices) / 2)
  for (const { decoded, from, to } of slices) {
    const middle = Math.min(to, from + room)
    if (middle > from) first.push({ decoded, from, to: middle })
    if (to > middle) second.push({ decoded, from: middle, to })
    room -= middle - from
  }
  return [first, second]
}

/** Where reading continues after a slice: after its batch, or at its next row. */
export const offsetAfter = ({ decoded, to }: Slice): number =>
  to === rowCount(decoded) ? decoded.nextOffset : decoded.offsets[to]

/** Rows and the progress that goes with them. @param idle partitions without waiting rows whose progress is to be written as well */
export function composeBatch(slices: readonly Slice[], idle: readonly SinkPartition[]): WriteBatch {
  return {
    ...composeRows(slices),
    progress: [
      // Rows before `from` may have gone in without progress: the greatest event time is that of all up to `to`.
      ...slices.map((slice) => step(slice.decoded.partition, offsetAfter(slice), eventMax(slice))),
      ...idle.map((partition) => step(partition, null, null)),
    ],
  }
}

/** Rows without progress: for finding those that the store never takes. Written again, they change nothing. */
export function composeRows(slices: readonly Slice[]): WriteBatch {
  return {
    rows: concatRows(slices),
    anomalies: slices.flatMap(({ decoded, from, to }) => decoded.anomalies.slice(from, to)),
    progress: [],
  }
}

/** @param offset null: where the partition is */
function step(
  { name, topic, partition, advance }: SinkPartition,
  offset: number | null,
  eventMs: number | null,
): ProgressUpdate {
  if (advance === null) throw new Error(`${name} is not ours to write`)
  const { stored, position, throughMs } = advance
  return { topic, partition, after: stored, offset: offset ?? position, throughMs, eventMs }
}

function concatRows(slices: readonly Slice[]): ReadingRows {
  if (slices.length === 1 && sliceRows(slices) === rowCount(slices[0].decoded)) return slices[0].decoded
  const readings = slices.flatMap(({ decoded, from, to }) => decoded.readings.slice(from, to))
  const versions = new Float64Array(readings.length)
  const arrivals = new Float64Array(readings.length)
  let at = 0
  for (const { decoded, from, to } of slices) {
    if (decoded.readings.length === 0) continue
    versions.set(decoded.versions.subarray(from, to), at)
    arrivals.set(decoded.arrivals.subarray(from, to), at)
    at += to - from
  }
  return { readings, versions, arrivals }
}

function eventMax({ decoded: { readings }, to }: Slice): number | null {
  let max = -Infinity
  for (let i = 0; i < Math.min(to, readings.length); i += 1) if (readings[i].ts > max) max = readings[i].ts
  return max === -Infinity ? null : max
}
