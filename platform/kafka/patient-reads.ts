// Reading without a group: the loops around a fetch. A fetch may fail and be tried again, bring nothing although there
// is data, or bring nothing but markers; what that means for the log is decided here, for the real broker's reader
// and the simulator's alike.
import type { Clock } from '../clock.ts'
import { KafkaError } from '../errors.ts'
import { retry } from '../retry.ts'
import type { FetchedBatch, TopicPartition } from './port.ts'

/** How long the broker may hold back an answer that would be empty, ms. */
export const MAX_WAIT_MS = 100
/** Per fetch. */
export const FETCH_BYTES = 4 * 1024 * 1024
/** About 20 s of an unavailable broker. */
const TRIES = 40
const RETRY = { baseMs: 500, capMs: 1_000 }
/** The broker answers at once where there is something; so many empty answers mean that compaction emptied the rest. */
const EMPTY_ANSWERS = 5

export interface FetchAnswer {
  /** Null: nothing came. */
  readonly batch: FetchedBatch | null
  /** The last stable offset. */
  readonly stable: number
}

export interface Fetching {
  /** Rejects with KafkaError; OFFSET_OUT_OF_RANGE is final, anything else is retried. */
  fetch(at: TopicPartition, position: number): Promise<FetchAnswer>
  /** After a failure, before the next attempt. */
  recover(): Promise<void>
  readonly clock: Pick<Clock, 'mono' | 'sleep'>
  readonly random: () => number
}

type OnBatch = (fetched: FetchedBatch) => void | Promise<void>

/** See RangeReader.read. */
export async function readRange(
  fetching: Fetching,
  at: TopicPartition,
  from: number,
  to: number,
  onBatch: OnBatch,
): Promise<void> {
  let position = from
  let empty = 0
  while (position < to) {
    const { batch: fetched, stable } = await fetchWithRetry(fetching, at, position)
    if (fetched !== null) {
      empty = 0
      await onBatch(fetched)
      position = fetched.nextOffset
      continue
    }
    empty += 1
    if (stable >= to && empty >= EMPTY_ANSWERS) return
    if (stable < to && empty >= TRIES) {
      throw new KafkaError(
        'END_BEFORE_RANGE',
        `${at.topic}/${at.partition} ends at ${stable}, before ${to}: a transaction is open or records are gone`,
        { ...at, offset: stable },
      )
    }
    if (stable < to) await fetching.clock.sleep(MAX_WAIT_MS)
  }
}

/** See RangeReader.follow. */
export async function followLog(
  fetching: Fetching,
  at: TopicPartition,
  from: number,
  signal: AbortSignal,
  onBatch: OnBatch,
): Promise<void> {
  let position = from
  let empty = 0
  while (!signal.aborted) {
    const { batch: fetched, stable } = await fetchWithRetry(fetching, at, position, signal)
    if (signal.aborted) return
    position = fetched?.nextOffset ?? position
    empty = fetched === null ? empty + 1 : 0
    if (fetched !== null && fetched.batches.length > 0) await onBatch(fetched)
    // Markers or aborted records alone say nothing about what follows them, nor does one empty answer below the end.
    else if (position >= stable || empty >= EMPTY_ANSWERS)
      await onBatch({ ...at, batches: [], nextOffset: position, endOffset: stable })
  }
}

async function fetchWithRetry(
  fetching: Fetching,
  at: TopicPartition,
  position: number,
  signal?: AbortSignal,
): Promise<FetchAnswer> {
  const { clock, random } = fetching
  const isRetriable = (error: unknown): boolean =>
    !(error instanceof KafkaError && error.code === 'OFFSET_OUT_OF_RANGE')
  try {
    return await retry(() => fetching.fetch(at, position), {
      triesMax: TRIES,
      backoff: RETRY,
      clock,
      random,
      signal,
      isRetriable,
      beforeRetry: () => fetching.recover(),
    })
  } catch (error) {
    if (signal?.aborted === true) return { batch: null, stable: position }
    throw error
  }
}
