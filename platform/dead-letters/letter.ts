// A dead letter as commands and the audit see it: its place, where its record came from, and why it was refused.
import { InputError } from '../errors.ts'
import type { Header, RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { readRefusal } from './headers.ts'

/** A dead letter's place in telemetry.dlq. */
export interface Place {
  readonly partition: number
  readonly offset: number
}

export interface DeadLetter extends Place {
  /** Arrival in telemetry.dlq, ms. */
  readonly timeMs: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: readonly Header[]
  /** The refused record's place; an empty topic and -1 where the letter does not say. */
  readonly from: { readonly topic: string; readonly partition: number; readonly offset: number }
  /** Who refused it: `refine`, or a stage of the sink. */
  readonly stage: string
  /** Code of the reason, for filters; `message` is for people. */
  readonly reason: string
  readonly message: string
  /** The letter's bytes, to be read in place. */
  readonly batch: RecordBatch
  readonly index: number
}

export function readDeadLetter(batch: RecordBatch, index: number, partition: number): DeadLetter {
  const headers = batch.headers(index)
  const { topic, partition: fromPartition, offset, stage, reason, message } = readRefusal(headers)
  return {
    partition,
    offset: batch.offset(index),
    timeMs: batch.timestamp(index),
    key: batch.key(index),
    value: batch.value(index),
    headers,
    from: { topic, partition: fromPartition, offset },
    stage,
    reason,
    message,
    batch,
    index,
  }
}

export const placeText = ({ partition, offset }: Place): string => `${partition}@${offset}`

/** Null where the text does not name a place. */
export function readPlace(text: string): Place | null {
  const match = /^(\d{1,6})@(\d{1,15})$/.exec(text)
  return match === null ? null : { partition: Number(match[1]), offset: Number(match[2]) }
}

/** @throws InputError */
export function parsePlace(text: string): Place {
  const place = readPlace(text)
  if (place !== null) return place
  throw new InputError(
    'PLACE',
    'place',
    `"${text}" does not name a dead letter: expected <partition>@<offset>, for instance 3@14`,
  )
}
