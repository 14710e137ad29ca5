// Bounded reads without a consumer group, by the client's own fetch: for restoring state, audits and the command line.
// A group consumer cannot do this: sought to a tail of nothing but control records it never calls back.
import { setTimeout as delay } from 'node:timers/promises'
import type { Kafka as Client } from 'kafkajs'
import { KafkaError } from '../../errors.ts'
import { attempt, codeOf, toKafkaError } from './errors.ts'
import { type AbortedTransaction, filterAborted, type WireBatch } from './wire.ts'
import { FETCH_BYTES, type FetchAnswer, type Fetching, followLog, MAX_WAIT_MS, readRange } from '../patient-reads.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from '../port.ts'
import { RecordBatch } from '../record-batch/record-batch.ts'

const READ_COMMITTED = 1

interface FetchedPartition {
  readonly lastStableOffset: string
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  readonly messages: WireBatch[]
}

/** The part of kafkajs's internal cluster that is used here. */
interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  findBroker(at: {
    nodeId: string
  }): Promise<{ fetch(request: object): Promise<{ responses: { partitions: FetchedPartition[] }[] }> }>
}

type CreateCluster = (options: object) => Cluster

export class KafkaJsRangeReader implements RangeReader {
  readonly #cluster: Cluster
  readonly #fetching: Fetching = {
    fetch: (at, position) => this.#fetch(at, position),
    recover: () => this.#recover(),
    sleep: (ms) => delay(ms),
  }

  private constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  static async connect(kafka: Client): Promise<KafkaJsRangeReader> {
    const key = Object.getOwnPropertySymbols(kafka).find(
      (symbol) => symbol.description === 'private:Kafka:createCluster',
    )
    if (key === undefined) throw new Error('kafkajs no longer has private:Kafka:createCluster')
    const cluster = (kafka as unknown as Record<symbol, CreateCluster>)[key]({
      isolationLevel: READ_COMMITTED,
      allowAutoTopicCreation: false,
    })
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

  /** What failed may be the connection or the leadership; the next try reports what is still wrong. */
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
      const batches = filterAborted({ messages, abortedTransactions })
        .filter((message) => !message.isControlRecord)
        .map(({ bytes }) => new RecordBatch(bytes, position))
      return { batch: { topic, partition, batches, nextOffset: Number(last.offset) + 1, endOffset: stable }, stable }
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
