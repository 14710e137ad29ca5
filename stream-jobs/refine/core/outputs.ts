// The core's outputs. It calls these methods; the task collects them into record batches, a replay
// discards them.
import type { ReadingProblem } from '../../../platform/codec/reading-verdict.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'

/** Why a record went to the dead letters. */
export type DeadLetterReason =
  | 'UNREADABLE_BATCH'
  | 'TOO_LARGE'
  | 'INTERNAL_ERROR'
  | 'SKIPPED'
  | 'REMOVED_UNREAD'
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

/** Where the bytes of a record are. */
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
  /**
   * A dead letter for what is in no batch any more.
   * @param bytes of a reading that waited; null for records that are gone
   */
  deadLetterOf(offset: number, bytes: KeyAndValue | null, reason: DeadLetterReason, detail: string): void
  /** `rollback` takes back everything since the last `mark`. */
  mark(): void
  rollback(): void
}

export interface KeyAndValue {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/** For replays: what was emitted the first time is already in the topics. */
export const discard: Outputs = {
  clean: () => undefined,
  late: () => undefined,
  anomaly: () => undefined,
  deadLetter: () => undefined,
  deadLetterOf: () => undefined,
  mark: () => undefined,
  rollback: () => undefined,
}
