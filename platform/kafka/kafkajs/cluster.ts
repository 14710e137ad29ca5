// The client's inner cluster: connections by broker and who leads which partition. Its admin and consumer hide it, but
// bounded reads, high watermarks and the requests that the client does not know need it.
import type { Kafka as Client } from 'kafkajs'
import type { AbortedTransaction, WireBatch } from './wire.ts'

export const READ_UNCOMMITTED = 0
export const READ_COMMITTED = 1

export interface FetchedPartition {
  readonly lastStableOffset: string
  readonly abortedTransactions: readonly AbortedTransaction[] | null
  readonly messages: WireBatch[]
}

interface ListedOffsets {
  readonly responses: readonly {
    readonly partitions: readonly { readonly partition: number; readonly offset: string }[]
  }[]
}

/** A request that the client does not support, and how to decode its response. */
export interface ForeignRequest<T> {
  readonly request: {
    readonly apiKey: number
    readonly apiVersion: number
    readonly apiName: string
    encode(): Promise<{ buffer: Buffer }>
  }
  readonly response: { decode(answer: Buffer): Promise<T>; parse(answer: T): Promise<T> }
}

export interface Broker {
  fetch(request: object): Promise<{ responses: { partitions: FetchedPartition[] }[] }>
  listOffsets(request: object): Promise<ListedOffsets>
  readonly connectionPool: { send<T>(request: ForeignRequest<T>): Promise<T> }
}

/** The part of kafkajs's internal cluster that is used here. */
export interface Cluster {
  connect(): Promise<void>
  disconnect(): Promise<void>
  addTargetTopic(topic: string): Promise<void>
  refreshMetadata(): Promise<void>
  findTopicPartitionMetadata(topic: string): readonly { readonly partitionId: number }[]
  findLeaderForPartitions(topic: string, partitions: number[]): Record<string, number[]>
  getNodeIds(): string[]
  findBroker(at: { nodeId: string }): Promise<Broker>
}

export function createCluster(kafka: Client): Cluster {
  const key = Object.getOwnPropertySymbols(kafka).find((symbol) => symbol.description === 'private:Kafka:createCluster')
  if (key === undefined) throw new Error('kafkajs no longer has private:Kafka:createCluster')
  const create = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[key]
  return create({ isolationLevel: READ_COMMITTED, allowAutoTopicCreation: false })
}
