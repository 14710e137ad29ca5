// A member of a consumer group over kafkajs. It never commits by itself, hands out batches as bytes, pauses what it is
// newly assigned until the service has sought, and reports when the client has ended for good (after one lost
// FindCoordinator during a rebalance it does, whatever its retries).
import type { Consumer as ClientConsumer, EachBatchPayload, Kafka as Client } from 'kafkajs'
import { oneOwnerAssigner, type Protocol } from './assigner.ts'
import { attempt, toKafkaError } from './errors.ts'
import { sharedAssigner } from './shared-assigner.ts'
import type { WireBatch } from './wire.ts'
import type { BatchContext, ConsumerHandlers, GroupConsumer, GroupConsumerOptions, TopicPartition } from '../port.ts'
import { unpack } from '../record-batch/record-batch.ts'

/** More than a member is ever assigned: each partition has its own worker, so none waits for another's transaction. */
const CONCURRENT_PARTITIONS = 256
/** Bytes of one fetch over all partitions; bounds what a member holds in memory. */
const FETCH_BYTES_MAX = 16 * 1024 * 1024

export class KafkaJsGroupConsumer implements GroupConsumer {
  readonly #consumer: ClientConsumer
  readonly #topics: readonly string[]
  #generation = 0
  #closed = false

  constructor(kafka: Client, protocol: Protocol, options: GroupConsumerOptions) {
    const { assignment } = options
    this.#topics = options.topics
    this.#consumer = kafka.consumer({
      groupId: options.group,
      sessionTimeout: options.sessionTimeoutMs,
      rebalanceTimeout: Math.max(options.sessionTimeoutMs, 20_000),
      heartbeatInterval: Math.max(300, Math.floor(options.sessionTimeoutMs / 6)),
      maxWaitTimeInMs: options.maxWaitMs,
      minBytes: options.minBytes,
      maxBytes: FETCH_BYTES_MAX,
      maxBytesPerPartition: options.maxBytesPerPartition,
      readUncommitted: false,
      allowAutoTopicCreation: false,
      partitionAssigners: [
        assignment === 'shared' ? sharedAssigner(protocol) : oneOwnerAssigner(protocol, assignment.claim),
      ],
    })
  }

  async run(handlers: ConsumerHandlers): Promise<void> {
    const consumer = this.#consumer
    // The listener runs synchronously inside the join, before the next fetch: nothing slips through before the pause.
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
      this.#generation += 1
      const assigned: TopicPartition[] = Object.entries(payload.memberAssignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => ({ topic, partition })),
      )
      for (const at of assigned) this.pause(at)
      handlers.onAssigned(assigned, this.#generation)
    })
    consumer.on(consumer.events.HEARTBEAT, () => handlers.onHeartbeat?.())
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (!payload.restart && !this.#closed) handlers.onCrash(toKafkaError(payload.error, 'consuming'))
    })
    await attempt('joining the consumer group', async () => {
      await consumer.connect()
      await consumer.subscribe({ topics: [...this.#topics], fromBeginning: true })
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: CONCURRENT_PARTITIONS,
        eachBatch: (payload) => handle(payload, handlers),
      })
    })
  }

  seek({ topic, partition }: TopicPartition, offset: number): void {
    this.#consumer.seek({ topic, partition, offset: String(offset) })
  }

  pause({ topic, partition }: TopicPartition): void {
    this.#consumer.pause([{ topic, partitions: [partition] }])
  }

  resume({ topic, partition }: TopicPartition): void {
    this.#consumer.resume([{ topic, partitions: [partition] }])
  }

  async commit({ topic, partition }: TopicPartition, offset: number): Promise<void> {
    await attempt('committing an offset', () =>
      this.#consumer.commitOffsets([{ topic, partition, offset: String(offset) }]),
    )
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#consumer.disconnect()
  }
}

/** A batch of the client, as kafkajs-wire.ts makes it. */
interface WireFetch {
  readonly fetchedOffset: string
  readonly lastStableOffset: string
  readonly messages: readonly WireBatch[]
}

async function handle(
  { batch, resolveOffset, heartbeat, isStale, isRunning }: EachBatchPayload,
  handlers: ConsumerHandlers,
): Promise<void> {
  const context: BatchContext = { isStale: () => isStale() || !isRunning(), heartbeat }
  const { topic, partition } = batch
  const { fetchedOffset, lastStableOffset, messages } = batch as unknown as WireFetch
  const endOffset = Number(lastStableOffset)
  for (const { batches, nextOffset } of unpack(messages, Number(fetchedOffset), Number(batch.lastOffset()))) {
    await handlers.onBatch({ topic, partition, batches, nextOffset, endOffset }, context)
    if (context.isStale()) return
    resolveOffset(String(nextOffset - 1))
  }
  await heartbeat()
}
