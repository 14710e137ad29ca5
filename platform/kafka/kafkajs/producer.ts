// Producers over kafkajs. Batches reach the wire as they were built (see kafkajs-wire.ts). The transactional one
// fences by an empty transaction, since connecting alone fences nobody, and must be thrown away after any error: a
// reused producer was seen to commit a delayed old batch in place of a new one, with success reported.
import type {
  Kafka as Client,
  ICustomPartitioner,
  Producer as ClientProducer,
  RecordMetadata,
  TopicMessages as ClientTopicMessages,
  Transaction as ClientTransaction,
} from 'kafkajs'
import { KafkaError } from '../../errors.ts'
import { attempt, untilReady } from './errors.ts'
import { PartitionMessages, TopicMessages } from './wire.ts'
import type {
  OffsetCommit,
  OutgoingBatch,
  Producer,
  Transaction,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../port.ts'

const METADATA_BYTES_MAX = 4_096

/** Never asked: every batch names its partition. */
const createPartitioner: ICustomPartitioner = () => () => {
  throw new Error('a batch without a partition reached the partitioner')
}

export class KafkaJsProducer implements Producer {
  readonly #producer: ClientProducer

  private constructor(producer: ClientProducer) {
    this.#producer = producer
  }

  static async connect(kafka: Client): Promise<KafkaJsProducer> {
    const producer = kafka.producer({ createPartitioner, allowAutoTopicCreation: false })
    await attempt('connecting a producer', () => producer.connect())
    return new KafkaJsProducer(producer)
  }

  async send(batches: readonly OutgoingBatch[]): Promise<number[]> {
    const answer = await attempt('sending', () =>
      this.#producer.sendBatch({ acks: -1, topicMessages: toTopicMessages(batches) }),
    )
    return baseOffsets(batches, answer, true)
  }

  async close(): Promise<void> {
    await this.#producer.disconnect()
  }
}

export class KafkaJsTransactionalProducer implements TransactionalProducer {
  readonly #producer: ClientProducer

  private constructor(producer: ClientProducer) {
    this.#producer = producer
  }

  static async connect(
    kafka: Client,
    { transactionalId, transactionTimeoutMs }: TransactionalProducerOptions,
  ): Promise<KafkaJsTransactionalProducer> {
    const producer = kafka.producer({
      createPartitioner,
      allowAutoTopicCreation: false,
      idempotent: true,
      maxInFlightRequests: 1,
      transactionalId,
      transactionTimeout: transactionTimeoutMs,
      // Within the transaction's own time-out: longer retries could only end in a transaction that is gone.
      retry: { retries: 12 },
    })
    await attempt('connecting a transactional producer', () => producer.connect())
    return new KafkaJsTransactionalProducer(producer)
  }

  async fence(): Promise<void> {
    await attempt('fencing the former owner', async () => {
      const empty = await this.#producer.transaction()
      await empty.abort()
    })
  }

  async begin(): Promise<Transaction> {
    return new KafkaJsTransaction(await attempt('beginning a transaction', () => this.#producer.transaction()))
  }

  async close(): Promise<void> {
    await this.#producer.disconnect()
  }
}

class KafkaJsTransaction implements Transaction {
  readonly #transaction: ClientTransaction

  constructor(transaction: ClientTransaction) {
    this.#transaction = transaction
  }

  async send(batches: readonly OutgoingBatch[]): Promise<number[]> {
    const topicMessages = toTopicMessages(batches)
    const answer = await attempt('sending in a transaction', () =>
      untilReady(() => this.#transaction.sendBatch({ acks: -1, topicMessages })),
    )
    return baseOffsets(batches, answer, false)
  }

  async sendOffsets(group: string, offsets: readonly OffsetCommit[]): Promise<void> {
    const topics = new Map<string, { partition: number; offset: string; metadata: string }[]>()
    for (const { topic, partition, offset, metadata } of offsets) {
      if (Buffer.byteLength(metadata) > METADATA_BYTES_MAX)
        throw new RangeError(`offset metadata is longer than ${METADATA_BYTES_MAX} bytes`)
      // The client's types leave out `metadata`; its encoder sends it.
      const partitions = topics.get(topic) ?? []
      topics.set(topic, [...partitions, { partition, offset: String(offset), metadata }])
    }
    const request = {
      consumerGroupId: group,
      topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
    }
    await attempt('committing offsets in a transaction', () => untilReady(() => this.#transaction.sendOffsets(request)))
  }

  async commit(): Promise<void> {
    await attempt('committing a transaction', () => this.#transaction.commit())
  }

  async abort(): Promise<void> {
    await attempt('aborting a transaction', () => this.#transaction.abort())
  }
}

function toTopicMessages(batches: readonly OutgoingBatch[]): ClientTopicMessages[] {
  const topics = new Map<string, Record<number, PartitionMessages>>()
  for (const { topic, partition, records } of batches) {
    if (records.count === 0) throw new RangeError(`an empty batch for ${topic}/${partition}`)
    const partitions = topics.get(topic) ?? {}
    if (partitions[partition] !== undefined)
      throw new RangeError(`two batches for ${topic}/${partition} in one request`)
    partitions[partition] = new PartitionMessages(records)
    topics.set(topic, partitions)
  }
  // kafkajs hands them on without looking inside, so its types do not matter here.
  return [...topics].map(([topic, partitions]) => ({
    topic,
    messages: new TopicMessages(partitions),
  })) as unknown as ClientTopicMessages[]
}

/**
 * Where each batch was written. Retrying a request over several brokers, the client remembers which *broker* has
 * answered, not which partition. When leaders move in between, a partition is left out, or is sent again with new
 * sequence numbers, which the broker cannot know to be a repetition.
 * @param mayRepeat whether a batch may have been written more than once
 * @throws KafkaError NO_BASE_OFFSET, SENT_TWICE
 */
export function baseOffsets(
  batches: readonly OutgoingBatch[],
  answer: readonly RecordMetadata[],
  mayRepeat: boolean,
): number[] {
  return batches.map(({ topic, partition }) => {
    const found = answer.filter((entry) => entry.topicName === topic && entry.partition === partition)
    const at = { topic, partition, retriable: true }
    if (found[0]?.baseOffset === undefined)
      throw new KafkaError('NO_BASE_OFFSET', `the broker did not say where it wrote to ${topic}/${partition}`, at)
    if (found.length > 1 && !mayRepeat)
      throw new KafkaError('SENT_TWICE', `a batch for ${topic}/${partition} was sent twice as its leader moved`, at)
    return Number(found[0].baseOffset)
  })
}
