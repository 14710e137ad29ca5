// What the core makes of its input. It calls these methods; the task collects them into record batches, a replay
// throws them away.
import type { ReadingProblem } from '../../../platform/codec/reading-verdict.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'

/** Why a record went to the dead letters. */
export type DeadLetterReason =
  | 'UNREADABLE_BATCH'
  | 'TOO_LARGE'
  | 'INTERNAL_ERROR'
  | 'NO_KEY'
  | 'NO_VALUE'
  | 'NOT_FRAMED'
  | 'UNKNOWN_SCHEMA'
  | 'UNDECODABLE'
  | ReadingProblem['reason']
  | 'FUTURE_TIME'
  | 'WRONG_PARTITION'
  | 'CONFLICT'
  | 'PAST_TIME'
  | 'METRIC_OUT_OF_BOUNDS'
  | 'TOO_MANY_SENSORS'
  | 'UNKNOWN_CONTROL'

/** What is wrong with a record; `detail` names the field and the limit, for people. */
export interface Problem {
  readonly reason: DeadLetterReason
  readonly detail: string
}

/** Why a reading went to late instead of clean. */
export type LateReason = 'late' | 'correction' | 'regressed' | 'ahead' | 'replayed'

/** Where the bytes of a record lie. */
export interface RecordBytes {
  readonly key: Uint8Array
  readonly keyAt: number
  readonly keyLength: number
  readonly value: Uint8Array
  readonly valueAt: number
  readonly valueLength: number
}

export interface Score {
  /** Index into METRICS. */
  readonly metric: number
  readonly value: number
  readonly z: number
  readonly threshold: number
  readonly mean: number
  readonly stddev: number
  readonly windowCount: number
}

export interface Outputs {
  /** `ts` is the event time, ms. */
  clean(record: RecordBytes, ts: number): void
  late(record: RecordBytes, reason: LateReason): void
  anomaly(record: RecordBytes, score: Score): void
  /** @param detail names the field and the limit, for people */
  deadLetter(batch: RecordBatch, index: number, reason: DeadLetterReason, detail: string): void
}

/** For replays: what was emitted the first time is in the topics already. */
export const discard: Outputs = {
  clean: () => undefined,
  late: () => undefined,
  anomaly: () => undefined,
  deadLetter: () => undefined,
}
