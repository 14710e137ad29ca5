// Bounded reads and following, with the same patience and the same errors as platform/kafka/kafkajs-reader.ts.
import { KafkaError } from '../../platform/errors.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from '../../platform/kafka/port.ts'
import { codeOf, refused } from './errors.ts'
import { fetchRanges, viewsOf } from './fetch.ts'
import type { Link } from './link.ts'

const FETCH_BYTES = 4 * 1024 * 1024
const MAX_WAIT_MS = 100
const TRIES = 40
const RETRY_MS = 500
const EMPTY_ANSWERS = 5

interface Answer {
  readonly batch: FetchedBatch | null
  readonly stable: number
}

export class SimRangeReader implements RangeReader {
  readonly #link: Link
  #closed = false

  constructor(link: Link) {
    this.#link = link
  }

  async read(
    at: TopicPartition,
    from: number,
    to: number,
    onBatch: (batch: FetchedBatch) => void | Promise<void>,
  ): Promise<void> {
    let position = from
    let empty = 0
    while (position < to) {
      const { batch, stable } = await this.#fetchPatiently(at, position)
      if (batch !== null) {
        empty = 0
        await onBatch(batch)
        position = batch.nextOffset
        continue
      }
      empty += 1
      if (stable >= to && empty >= EMPTY_ANSWERS) return
      if (stable < to && empty >= TRIES)
        throw new KafkaError('END_BEFORE_RANGE', `${at.topic}/${at.partition} ends at ${stable}, before ${to}`, {
          ...at,
          offset: stable,
        })
      if (stable < to) await this.#link.sleep(MAX_WAIT_MS)
    }
  }

  async follow(
    at: TopicPartition,
    from: number,
    signal: AbortSignal,
    onBatch: (batch: FetchedBatch) => void | Promise<void>,
  ): Promise<void> {
    let position = from
    let empty = 0
    while (!signal.aborted) {
      const { batch, stable } = await this.#fetchPatiently(at, position, signal)
      if (signal.aborted) return
      position = batch?.nextOffset ?? position
      empty = batch === null ? empty + 1 : 0
      if (batch !== null && batch.views.length > 0) await onBatch(batch)
      else if (position >= stable || empty >= EMPTY_ANSWERS)
        await onBatch({ ...at, views: [], nextOffset: position, endOffset: stable })
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#link.sleep(0)
  }

  async #fetchPatiently(at: TopicPartition, position: number, signal?: AbortSignal): Promise<Answer> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#fetch(at, position)
      } catch (error) {
        if (signal?.aborted) return { batch: null, stable: position }
        if (codeOf(error) === 'OFFSET_OUT_OF_RANGE' || tries >= TRIES) throw error
        await this.#link.sleep(RETRY_MS)
      }
    }
  }

  async #fetch(at: TopicPartition, position: number): Promise<Answer> {
    if (this.#closed) throw refused('KafkaJSConnectionClosedError', 'the reader is closed', { ...at, retriable: true })
    const { server } = this.#link
    const [range] = await this.#link.call({ call: 'Fetch', topics: [at.topic] }, () =>
      fetchRanges(server, [{ log: server.topics.log(at), from: position, maxBytes: FETCH_BYTES }], {
        minBytes: 1,
        maxWaitMs: MAX_WAIT_MS,
      }),
    )
    const stable = range.lastStableOffset
    const last = range.batches.at(-1)
    if (last === undefined) return { batch: null, stable }
    const { topic, partition } = at
    const views = viewsOf(range, position)
    return { batch: { topic, partition, views, nextOffset: last.lastOffset + 1, endOffset: stable }, stable }
  }
}
