// What holds back the last stable offset of a topic's partitions: high watermarks, and open transactions with their
// producers. Used rarely (when something is stuck, and by audits), so it connects on first use.
import type { Kafka as Client } from 'kafkajs'
import type { OpenTransaction } from '../port.ts'
import { type Broker, type Cluster, createCluster, READ_UNCOMMITTED } from './cluster.ts'
import { attempt } from './errors.ts'
import { describeProducers, describeTransactions, listTransactions } from './transaction-requests.ts'

const LATEST = -1

export class TransactionInspector {
  readonly #kafka: Client
  #cluster: Promise<Cluster> | null = null

  constructor(kafka: Client) {
    this.#kafka = kafka
  }

  async highWatermarks(topic: string): Promise<number[]> {
    return attempt(`reading the high watermarks of ${topic}`, async () => {
      const watermarks: number[] = []
      await this.#atLeaders(topic, async (broker, partitions) => {
        const { responses } = await broker.listOffsets({
          isolationLevel: READ_UNCOMMITTED,
          topics: [{ topic, partitions: partitions.map((partition) => ({ partition, timestamp: LATEST })) }],
        })
        for (const { partition, offset } of responses[0].partitions) watermarks[partition] = Number(offset)
      })
      return watermarks
    })
  }

  async openTransactions(topic: string): Promise<OpenTransaction[]> {
    return attempt(`reading the open transactions of ${topic}`, async () => {
      const cluster = await this.#connected()
      const active = (
        await this.#atLeaders(topic, (broker, partitions) =>
          broker.connectionPool.send(describeProducers(topic, partitions)),
        )
      ).flat()
      if (active.length === 0) return []
      const coordinated = await this.#coordinated(cluster, [...new Set(active.map(({ producerId }) => producerId))])
      return active
        .map(({ partition, producerId, firstOffset, lastTimestampMs }) => {
          const known = coordinated.get(producerId)
          return {
            topic,
            partition,
            producerId,
            transactionalId: known?.transactionalId ?? null,
            firstOffset,
            sinceMs: known?.startMs ?? lastTimestampMs,
          }
        })
        .sort((a, b) => a.partition - b.partition || a.firstOffset - b.firstOffset)
    })
  }

  async close(): Promise<void> {
    const cluster = await this.#cluster?.catch(() => null)
    await cluster?.disconnect()
  }

  /** A transaction that no coordinator knows is hanging: it will not end by itself. */
  async #coordinated(
    cluster: Cluster,
    producerIds: readonly string[],
  ): Promise<Map<string, { transactionalId: string; startMs: number | undefined }>> {
    const found = new Map<string, { transactionalId: string; startMs: number | undefined }>()
    for (const nodeId of cluster.getNodeIds()) {
      const { connectionPool } = await cluster.findBroker({ nodeId })
      const listed = await connectionPool.send(listTransactions(producerIds))
      if (listed.length === 0) continue
      const described = await connectionPool.send(
        describeTransactions(listed.map(({ transactionalId }) => transactionalId)),
      )
      for (const { producerId, transactionalId } of listed) {
        const startMs = described.find((one) => one.producerId === producerId)?.startMs
        found.set(producerId, { transactionalId, startMs })
      }
    }
    return found
  }

  async #atLeaders<T>(topic: string, ask: (broker: Broker, partitions: number[]) => Promise<T>): Promise<T[]> {
    const cluster = await this.#connected()
    await cluster.addTargetTopic(topic)
    await cluster.refreshMetadata()
    const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
    const leaders = Object.entries(cluster.findLeaderForPartitions(topic, partitions))
    return Promise.all(leaders.map(async ([nodeId, led]) => ask(await cluster.findBroker({ nodeId }), led.map(Number))))
  }

  async #connected(): Promise<Cluster> {
    this.#cluster ??= connect(this.#kafka)
    try {
      return await this.#cluster
    } catch (error) {
      this.#cluster = null
      throw error
    }
  }
}

async function connect(kafka: Client): Promise<Cluster> {
  const cluster = createCluster(kafka)
  await cluster.connect()
  return cluster
}
