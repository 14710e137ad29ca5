// Bounded reads without a consumer group, by the client's own fetch: for restoring state, audits and the command line.
// A group consumer cannot do this: sought to a tail of nothing but control records it never calls back.
import { setTimeout as delay } from 'node:timers/promises'
import type { Kafka as Client } from 'kafkajs'
import { KafkaError } from '../errors.ts'
import { attempt, codeOf, toKafkaError } from './kafkajs-errors.ts'
import { type AbortedTransaction, filterAborted, type WireBatch } from './kafkajs-wire.ts'
import type { FetchedBatch, RangeReader, TopicPartition } from './port.ts'
import { RecordBatchView } from './record-batch-view.ts'

const READ_COMMITTED = 1
const FETCH_BYTES = 4 * 1024 * 1024
const MAX_WAIT_MS = 100
/** About 20 s of a broker that is away. */
const TRIES = 40
const RETRY_MS = 500
/** The broker answers at once where there is something; so many empty answers mean that compaction emptied the rest. */
const EMPTY_ANSWERS = 5

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
      if (batch === null) {
        empty += 1
        if (stable >= to && empty >= EMPTY_ANSWERS) return
        if (stable < to && empty >= TRIES) {
          throw new KafkaError(
            'END_BEFORE_RANGE',
            `${at.topic}/${at.partition} ends at ${stable}, before ${to}: a transaction is open or records are gone`,
            { ...at, offset: stable },
          )
        }
        if (stable < to) await delay(MAX_WAIT_MS)
        continue
      }
      empty = 0
      await onBatch(batch)
      position = batch.nextOffset
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
      // Nothing but markers or aborted records says nothing of what is behind them, nor does one empty answer below the end.
      else if (position >= stable || empty >= EMPTY_ANSWERS)
        await onBatch({ ...at, views: [], nextOffset: position, endOffset: stable })
    }
  }

  async close(): Promise<void> {
    await this.#cluster.disconnect()
  }

  async #fetchPatiently(
    at: TopicPartition,
    position: number,
    signal?: AbortSignal,
  ): Promise<{ batch: FetchedBatch | null; stable: number }> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await this.#fetch(at, position)
      } catch (error) {
        if (signal?.aborted) return { batch: null, stable: position }
        if (codeOf(error) === 'OFFSET_OUT_OF_RANGE' || tries >= TRIES) throw named(error, at, position)
        await delay(RETRY_MS)
        // What failed may be the connection or the leadership; the next try reports what is still wrong.
        await this.#cluster
          .connect()
          .then(() => this.#cluster.refreshMetadata())
          .catch(() => undefined)
      }
    }
  }

  async #fetch(
    { topic, partition }: TopicPartition,
    position: number,
  ): Promise<{ batch: FetchedBatch | null; stable: number }> {
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
    const [{ lastStableOffset, abortedTransactions, messages }] = partitions
    const stable = Number(lastStableOffset)
    const last = messages.at(-1)
    if (last === undefined) return { batch: null, stable }
    const views = filterAborted({ messages, abortedTransactions })
      .filter((message) => !message.isControlRecord)
      .map(({ bytes }) => new RecordBatchView(bytes, position))
    return { batch: { topic, partition, views, nextOffset: Number(last.offset) + 1, endOffset: stable }, stable }
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
