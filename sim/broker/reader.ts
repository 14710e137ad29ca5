// Bounded reads and following: the fetches are the simulator's, their processing is the real reader's.
import {
  FETCH_BYTES,
  type FetchAnswer,
  type Fetching,
  followLog,
  MAX_WAIT_MS,
  readRange,
} from '../../platform/kafka/patient-reads.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from '../../platform/kafka/port.ts'
import { refused } from './errors.ts'
import { fetchRanges, batchesOf } from './fetch.ts'
import type { Link } from './link.ts'

export class SimRangeReader implements RangeReader {
  readonly #link: Link
  readonly #fetching: Fetching = {
    fetch: (at, position) => this.#fetch(at, position),
    recover: () => Promise.resolve(),
    clock: { mono: () => this.#link.server.clock.mono(), sleep: (ms) => this.#link.sleep(ms) },
    random: () => this.#link.server.random(),
  }
  #closed = false

  constructor(link: Link) {
    this.#link = link
  }

  read(
    at: TopicPartition,
    from: number,
    to: number,
    onBatch: (fetched: FetchedBatch) => void | Promise<void>,
  ): Promise<void> {
    return readRange(this.#fetching, at, from, to, onBatch)
  }

  follow(
    at: TopicPartition,
    from: number,
    signal: AbortSignal,
    onBatch: (fetched: FetchedBatch) => void | Promise<void>,
  ): Promise<void> {
    return followLog(this.#fetching, at, from, signal, onBatch)
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#link.sleep(0)
  }

  async #fetch(at: TopicPartition, position: number): Promise<FetchAnswer> {
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
    const batches = batchesOf(range, position)
    return { batch: { topic, partition, batches, nextOffset: last.lastOffset + 1, endOffset: stable }, stable }
  }
}
