// The headers of a dead letter, written and read here only: why a record was refused, in Kafka Connect's names so that
// common tools show it, followed by the headers that the record itself had. Those may decide how its value is read (a
// schema's GUID) or whose trace it belongs to, and go with it when it is replayed.
import type { HeaderInput } from '../kafka/record-batch/builder.ts'
import type { Header } from '../kafka/record-batch/record-batch.ts'

const PREFIX = '__connect.errors.'
export const ERROR_HEADERS = {
  topic: `${PREFIX}topic`,
  partition: `${PREFIX}partition`,
  offset: `${PREFIX}offset`,
  stage: `${PREFIX}stage`,
  reason: `${PREFIX}exception.class.name`,
  message: `${PREFIX}exception.message`,
} as const
/** How many of the record's own headers had no room. */
export const HEADERS_LEFT_OUT_HEADER = 'plumbline.headers.left.out'

/** A record's own headers, together: more than any tracer or serializer writes, and little beside a batch. */
export const KEPT_HEADERS_MAX = 64
export const KEPT_HEADER_BYTES_MAX = 16_384
/** Headers must stay small beside the record. */
const MESSAGE_CHARS_MAX = 1_000
/** Two lengths, as varints. */
const HEADER_OVERHEAD_BYTES = 6

export interface Refusal {
  /** Of the record that was refused; when read, an empty topic and -1 where the letter does not say. */
  readonly topic: string
  readonly partition: number
  readonly offset: number
  /** Who refused it: `refine`, or a stage of the sink. */
  readonly stage: string
  /** Code of the reason, for filters; `message` is for people. */
  readonly reason: string
  readonly message: string
}

export const REFINE_STAGE = 'refine'

/** @param own the headers that the refused record had */
export function deadLetterHeaders(refusal: Refusal, own: readonly Header[]): HeaderInput[] {
  const { topic, partition, offset, stage, reason, message } = refusal
  const headers: HeaderInput[] = [
    { key: ERROR_HEADERS.topic, value: topic },
    { key: ERROR_HEADERS.partition, value: String(partition) },
    { key: ERROR_HEADERS.offset, value: String(offset) },
    { key: ERROR_HEADERS.stage, value: stage },
    { key: ERROR_HEADERS.reason, value: reason },
    { key: ERROR_HEADERS.message, value: message.slice(0, MESSAGE_CHARS_MAX) },
  ]
  const theirs = own.filter(isTheirs)
  const kept = withinBounds(theirs)
  headers.push(...kept)
  if (kept.length < theirs.length)
    headers.push({ key: HEADERS_LEFT_OUT_HEADER, value: String(theirs.length - kept.length) })
  return headers
}

/** The headers that the refused record had, as far as the letter has kept them. */
export const ownHeaders = (headers: readonly Header[]): Header[] => withinBounds(headers.filter(isTheirs))

/** A foreign letter may lack any of them. */
export function readRefusal(headers: readonly Header[]): Refusal {
  const texts = new Map<string, string>()
  // The first counts: ours are in front of what the record had.
  for (const { key, value } of headers)
    if (key.startsWith(PREFIX) && !texts.has(key)) texts.set(key, value?.toString() ?? '')
  const text = (name: keyof typeof ERROR_HEADERS): string => texts.get(ERROR_HEADERS[name]) ?? ''
  return {
    topic: text('topic'),
    partition: wholeOr(text('partition')),
    offset: wholeOr(text('offset')),
    stage: text('stage'),
    reason: text('reason'),
    message: text('message'),
  }
}

/** Bytes that these headers take in a record, at most. */
export const headerBytes = (headers: readonly Header[]): number =>
  headers.reduce(
    (sum, { key, value }) => sum + Buffer.byteLength(key) + (value?.length ?? 0) + HEADER_OVERHEAD_BYTES,
    0,
  )

/** Not ours: what marks a control record or a replay speaks of that record alone, and of an earlier refusal only the last counts. */
const isTheirs = ({ key }: Header): boolean => !key.startsWith(PREFIX) && !key.startsWith('plumbline.')

function withinBounds(headers: readonly Header[]): Header[] {
  const kept: Header[] = []
  let bytes = 0
  for (const header of headers) {
    bytes += headerBytes([header])
    if (kept.length === KEPT_HEADERS_MAX || bytes > KEPT_HEADER_BYTES_MAX) break
    kept.push(header)
  }
  return kept
}

const wholeOr = (text: string): number => (/^\d{1,15}$/.test(text) ? Number(text) : -1)
