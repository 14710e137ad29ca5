// A dead letter as the command line sees it: where it stands, where its record came from, and why it was refused. The
// headers are Kafka Connect's names, written by refine and by the sinks; a foreign letter may lack any of them.
import { InputError } from '../errors.ts'
import type { Header, RecordBatch } from '../kafka/record-batch/record-batch.ts'

/** Where a dead letter stands in telemetry.dlq. */
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
  /** Of the record that was refused; an empty topic and -1 where the letter does not say. */
  readonly from: { readonly topic: string; readonly partition: number; readonly offset: number }
  /** Who refused it: `refine`, or a stage of the sink. */
  readonly stage: string
  /** Code of the reason, for filters; `message` is for people. */
  readonly reason: string
  readonly message: string
  /** The letter's bytes, for whoever reads them in place. */
  readonly batch: RecordBatch
  readonly index: number
}

const PREFIX = '__connect.errors.'

export function readDeadLetter(batch: RecordBatch, index: number, partition: number): DeadLetter {
  const headers = batch.headers(index)
  const texts = new Map(headers.map(({ key, value }) => [key, value?.toString() ?? '']))
  const text = (name: string): string => texts.get(PREFIX + name) ?? ''
  return {
    partition,
    offset: batch.offset(index),
    timeMs: batch.timestamp(index),
    key: batch.key(index),
    value: batch.value(index),
    headers,
    from: { topic: text('topic'), partition: wholeOr(text('partition')), offset: wholeOr(text('offset')) },
    stage: text('stage'),
    reason: text('exception.class.name'),
    message: text('exception.message'),
    batch,
    index,
  }
}

const wholeOr = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : -1)

export const placeText = ({ partition, offset }: Place): string => `${partition}@${offset}`

/** Null where the text is no place. */
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
    `"${text}" is no dead letter: expected <partition>@<offset>, for instance 3@14`,
  )
}
