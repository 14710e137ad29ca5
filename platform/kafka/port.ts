// What Plumbline needs from Kafka, and nothing else. Services use this file; only kafkajs/ knows the client, and the
// simulator's in-memory broker implements the same interface. Everything is per batch: a record never costs a
// promise, a closure or an object.
//
// Offsets are JavaScript numbers: exact up to 2^53, which is more than one partition can hold.
import type { RecordBatchBuilder } from './record-batch/builder.ts'
import type { RecordBatch } from './record-batch/record-batch.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** Records to append to one partition. */
export interface OutgoingBatch extends TopicPartition {
  readonly records: RecordBatchBuilder
}

/** One partition's part of a fetch; aborted transactions and control markers are already left out. */
export interface FetchedBatch extends TopicPartition {
  readonly batches: readonly RecordBatch[]
  /** Offset to read next: after everything in this batch, including what was left out. */
  readonly nextOffset: number
  /** End of what may be read: the last stable offset, before every open transaction. */
  readonly endOffset: number
}

/** A producer without transactions: at least once, so readers must deduplicate. */
export interface Producer {
  /**
   * Appends every batch; at most one batch per partition in a call. Resolves with each batch's first offset once all
   * in-sync replicas have it. Rejects with KafkaError; then any subset may have been written.
   */
  send(batches: readonly OutgoingBatch[]): Promise<number[]>
  close(): Promise<void>
}

/**
 * A transactional producer with one owner at a time. After any rejected call it must be closed and replaced: its
 * outcome is in doubt, and only fencing plus reading the committed offset tells.
 */
export interface TransactionalProducer {
  /** Ends the former owner's transaction and fences it. Must be awaited before reading committed offsets. */
  fence(): Promise<void>
  begin(): Promise<Transaction>
  close(): Promise<void>
}

export interface Transaction {
  /** Appends to several partitions at once; resolves with each batch's first offset. */
  send(batches: readonly OutgoingBatch[]): Promise<number[]>
  /** Commits the group's offsets with this transaction, several partitions in one request. */
  sendOffsets(group: string, offsets: readonly OffsetCommit[]): Promise<void>
  commit(): Promise<void>
  abort(): Promise<void>
}

export interface OffsetCommit extends TopicPartition {
  readonly offset: number
  /** Stored with the offset, at most 4 KiB. */
  readonly metadata: string
}

export interface CommittedOffset {
  readonly offset: number
  readonly metadata: string
}

export interface OffsetRange {
  /** First offset still kept. */
  readonly start: number
  /** Offset after the last stable record. */
  readonly end: number
}

/** A transaction that has written to a partition and has not ended there: nothing after it can be read yet. */
export interface OpenTransaction extends TopicPartition {
  readonly producerId: string
  /** Null when no coordinator knows the transaction: it hangs, and will not end by itself. */
  readonly transactionalId: string | null
  /** Of its first record in the partition. */
  readonly firstOffset: number
  /** When it began; where that is not known, when it last wrote; ms of wall time. */
  readonly sinceMs: number
}

export interface Admin {
  /** Creates what is missing and brings settings of existing topics to the declared ones. */
  ensureTopics(topics: readonly TopicDeclaration[]): Promise<void>
  listTopics(): Promise<string[]>
  partitionCount(topic: string): Promise<number>
  /** Start and end of every partition, by partition number. */
  offsetRanges(topic: string): Promise<OffsetRange[]>
  /** The end of every partition's log, open transactions included, by partition number. */
  highWatermarks(topic: string): Promise<number[]>
  /** By partition and first offset. Costs requests to every broker: not for a loop. */
  openTransactions(topic: string): Promise<OpenTransaction[]>
  /** Committed offsets by partition number; null where there is none. */
  committedOffsets(group: string, topic: string): Promise<(CommittedOffset | null)[]>
}

export interface TopicDeclaration {
  readonly name: string
  readonly partitions: number
  readonly configs: Readonly<Record<string, string>>
}

/** Context for the handler of a batch. */
export interface BatchContext {
  /** True when the partition was taken away or sought elsewhere since this batch was fetched. */
  isStale(): boolean
  /** Keeps the membership alive during long work. */
  heartbeat(): Promise<void>
}

export interface ConsumerHandlers {
  /**
   * The group has settled; called synchronously, before anything is fetched. All assigned partitions are paused:
   * seek and resume each when it is ready.
   */
  onAssigned(partitions: readonly TopicPartition[], generation: number): void
  /** Process one batch. Called concurrently for different partitions, never for the same one. */
  onBatch(fetched: FetchedBatch, context: BatchContext): Promise<void>
  /** The broker has confirmed membership. */
  onHeartbeat?(): void
  /** The consumer has ended for good and must be rebuilt. */
  onCrash(error: Error): void
}

/** A member of a consumer group. It never commits offsets by itself. */
export interface GroupConsumer {
  run(handlers: ConsumerHandlers): Promise<void>
  seek(at: TopicPartition, offset: number): void
  pause(at: TopicPartition): void
  resume(at: TopicPartition): void
  /** Commits offsets outside of transactions (for sinks, whose truth is the store). */
  commit(at: TopicPartition, offset: number): Promise<void>
  close(): Promise<void>
}

/** Bounded reads without a group. */
export interface RangeReader {
  /**
   * Reads committed records of [from, to) in order, batch by batch; the last batch may reach beyond `to`.
   * Rejects with KafkaError OFFSET_OUT_OF_RANGE when `from` is no longer kept.
   */
  read(
    at: TopicPartition,
    from: number,
    to: number,
    onBatch: (fetched: FetchedBatch) => void | Promise<void>,
  ): Promise<void>
  /**
   * Reads committed records from `from` on, as they arrive, until the signal fires; an empty batch says that there
   * is nothing more for now. It keeps its connection busy: other reads need a reader of their own.
   * Rejects with KafkaError OFFSET_OUT_OF_RANGE when `from` is not kept, and when the broker stays unavailable.
   */
  follow(
    at: TopicPartition,
    from: number,
    signal: AbortSignal,
    onBatch: (fetched: FetchedBatch) => void | Promise<void>,
  ): Promise<void>
  close(): Promise<void>
}

/** All partitions go to one member, the one with the highest claim: an owner keeps them while others come and go. */
export interface OneOwner {
  /** Asked whenever the group is rearranged; 0 from a member that has never owned them. */
  readonly claim: () => number
}

export interface GroupConsumerOptions {
  readonly group: string
  readonly topics: readonly string[]
  /** How long the broker may hold back a fetch to fill it, ms. Bounds the latency that batching adds. */
  readonly maxWaitMs: number
  /** The broker answers a fetch as soon as it has this many bytes. */
  readonly minBytes: number
  /** Per partition and fetch. */
  readonly maxBytesPerPartition: number
  readonly sessionTimeoutMs: number
  /** `shared`: every member gets a share of the partitions, those of one number across all topics. */
  readonly assignment: 'shared' | OneOwner
}

export interface TransactionalProducerOptions {
  readonly transactionalId: string
  readonly transactionTimeoutMs: number
}

export interface Kafka {
  admin(): Promise<Admin & { close(): Promise<void> }>
  producer(): Promise<Producer>
  transactionalProducer(options: TransactionalProducerOptions): Promise<TransactionalProducer>
  groupConsumer(options: GroupConsumerOptions): GroupConsumer
  rangeReader(): Promise<RangeReader>
}
