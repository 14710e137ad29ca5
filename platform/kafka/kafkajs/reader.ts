// Bounded reads without a consumer group, by the client's own fetch: for restoring state, audits and the command line.
// A group consumer cannot do this: sought to a tail of nothing but control records it never calls back.
import type { Kafka as Client } from 'kafkajs'
import { systemClock } from '../../clock.ts'
import { KafkaError } from '../../errors.ts'
import { type Cluster, createCluster, type FetchedPartition, READ_COMMITTED } from './cluster.ts'
import { attempt, codeOf, toKafkaError } from './errors.ts'
import { filterAborted } from './wire.ts'
import { FETCH_BYTES, type FetchAnswer, type Fetching, followLog, MAX_WAIT_MS, readRange } from '../patient-reads.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from '../port.ts'
import { type HandOver, unpack } from '../record-batch/record-batch.ts'

export class KafkaJsRangeReader implements RangeReader {
  readonly #cluster: Cluster
  readonly #fetching: Fetching = {
    fetch: (at, position) => this.#fetch(at, position),
    recover: () => this.#recover(),
    clock: systemClock,
    random: Math.random,
  }

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  static async connect(kafka: Client): Promise<KafkaJsRangeReader> {
    const cluster = createCluster(kafka)
    await attempt('connecting a reader', () => cluster.connect())
    return new KafkaJsRangeReader(cluster)
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
    await this.#cluster.disconnect()
  }

  /** The connection or the leader may have failed; the next attempt reports what is still wrong. */
  async #recover(): Promise<void> {
    await this.#cluster
      .connect()
      .then(() => this.#cluster.refreshMetadata())
      .catch(() => undefined)
  }

  async #fetch(at: TopicPartition, position: number): Promise<FetchAnswer> {
    const { topic, partition } = at
    try {
      const { lastStableOffset, abortedTransactions, messages } = await this.#request(at, position)
      const stable = Number(lastStableOffset)
      const last = messages.at(-1)
      if (last === undefined) return { batch: null, stable }
      const readable = filterAborted({ messages, abortedTransactions }).filter((message) => !message.isControlRecord)
      // What exceeds one delivery is fetched again.
      const handOver = unpack(readable, position, Number(last.offset)).next().value as HandOver
      return { batch: { topic, partition, ...handOver, endOffset: stable }, stable }
    } catch (error) {
      throw named(error, at, position)
    }
  }

  async #request({ topic, partition }: TopicPartition, position: number): Promise<FetchedPartition> {
    await this.#cluster.addTargetTopic(topic)
    const [nodeId] = Object.keys(this.#cluster.findLeaderForPartitions(topic, [partition]))
    const broker = await this.#cluster.findBroker({ nodeId })
    const { responses } = await broker.fetch({
      maxWaitTime: MAX_WAIT_MS,
      minBytes: 1,
      maxBytes: FETCH_BYTES,
      isolationLevel: READ_COMMITTED,
      topics: [{ topic, partitions: [{ partition, fetchOffset: String(position), maxBytes: FETCH_BYTES }] }],
    })
    const [{ partitions }] = responses
    return partitions[0]
  }
}

function named(error: unknown, { topic, partition }: TopicPartition, offset: number): KafkaError {
  if (codeOf(error) !== 'OFFSET_OUT_OF_RANGE') return toKafkaError(error, `reading ${topic}/${partition} at ${offset}`)
  return new KafkaError('OFFSET_OUT_OF_RANGE', `${topic}/${partition} no longer keeps offset ${offset}`, {
    cause: error,
    topic,
    partition,
    offset,
  })
}
