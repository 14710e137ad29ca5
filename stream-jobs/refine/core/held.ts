// A reading that waits for its turn. Its bytes are copied, since the batch it came in is gone by then.
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { copiesOf, NO_BYTES } from './record-bytes.ts'

export interface Held {
  readonly seq: number
  readonly ts: number
  /** Arrival time, ms: its wait is counted from here. */
  readonly arrival: number
  /** False for a place whose reading was dead-lettered: it takes its turn and emits nothing. */
  readonly live: boolean
  readonly key: Uint8Array
  readonly value: Uint8Array
  /** Of its value; for a reading without seq, of the latest reading of its event time. */
  hash: number
  /** Raw offset; -1 where a snapshot from before it was kept says nothing. */
  readonly offset: number
}

/** Bytes that one sensor may hold; beyond that the wait ends early, as with a full buffer. */
export const HELD_BYTES_MAX = 2 * 1024 * 1024

/** Record `i`, which was scanned as a reading. @param live false if it is a dead letter: nothing of it is kept but its place */
export function heldOf(
  { seq, ts }: { readonly seq: number; readonly ts: number },
  batch: RecordBatch,
  i: number,
  arrival: number,
  live: boolean,
  hash: number,
): Held {
  const bytes = live ? copiesOf(batch, i) : NO_BYTES
  return { seq, ts, arrival, live, ...bytes, hash: live ? hash : NaN, offset: batch.offset(i) }
}

export const heldBytes = (held: Held): number => held.key.length + held.value.length

/**
 * Index at which an element of that rank is or would be inserted.
 * @param rank seq or ts of an element; ascending over `list`
 */
export function lowerBound(list: readonly Held[], value: number, rank: (held: Held) => number): number {
  let low = 0
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (rank(list[middle]) < value) low = middle + 1
    else high = middle
  }
  return low
}
