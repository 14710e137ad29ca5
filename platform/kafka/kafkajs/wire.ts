// Replaces five functions inside kafkajs 2.2.4 before it is loaded, so that record batches pass through the client as
// bytes: none of its objects per record, its copies, its wrong filter of aborted transactions or its silent jump after
// OFFSET_OUT_OF_RANGE remain; and fetched batches keep what else the broker said of them. What depends on the client's internals stays in this file; package.json pins the version.
import { createRequire } from 'node:module'
import type * as kafkajs from 'kafkajs'
import type { RecordBatchBuilder } from '../record-batch/builder.ts'
import { HEADER_BYTES } from '../record-batch/record-batch.ts'
import { closeOnRequestTimeout, lookUpLostCoordinator } from './request-timeouts.ts'

const require = createRequire(import.meta.url)
type Client = typeof kafkajs

const SOURCE = 'kafkajs/src/'

/** One record batch of a fetch, in the shape that kafkajs expects of a message. */
export interface WireBatch {
  /** Offset of its last record: kafkajs continues after it. */
  readonly offset: string
  readonly isControlRecord: boolean
  /** The whole batch, header included. */
  readonly bytes: Buffer
}

/** All batches of one topic in a send, in the shape that kafkajs expects of an array of messages. */
export class TopicMessages {
  readonly #partitions: Readonly<Record<number, PartitionMessages>>

  constructor(partitions: Readonly<Record<number, PartitionMessages>>) {
    this.#partitions = partitions
  }

  /** kafkajs looks for messages without a value; the builder cannot make one. */
  find(): undefined {
    return undefined
  }

  /** kafkajs groups messages by partition; these are grouped already. */
  reduce(): Readonly<Record<number, PartitionMessages>> {
    return this.#partitions
  }
}

/** The records of one partition; kafkajs advances the producer's sequence by `length`. */
export class PartitionMessages {
  readonly records: RecordBatchBuilder
  readonly length: number

  constructor(records: RecordBatchBuilder) {
    this.records = records
    this.length = records.count
  }
}

interface Decoder {
  readInt32(): number
  readBytes(length: number): Buffer
  canReadBytes(length: number): boolean
}

const TRANSACTIONAL_MASK = 0x10
const CONTROL_MASK = 0x20
const MAGIC_AT = 16
const SIZE_AT = 8
const SIZE_END = 12
/** Size of a batch without records, as its size field counts. */
const SIZE_MIN = HEADER_BYTES - SIZE_END

/** Cuts a record set into its batches and leaves an incomplete last one for the next fetch. */
export async function decodeRecordSet(decoder: Decoder): Promise<WireBatch[]> {
  const size = decoder.readInt32()
  if (size <= 0 || !decoder.canReadBytes(size)) return []
  const bytes = decoder.readBytes(size)
  const batches: WireBatch[] = []
  for (let at = 0; at + MAGIC_AT < bytes.length;) {
    const batchSize = bytes.readInt32BE(at + SIZE_AT)
    // A size below the header's would make the loop stall or go backwards.
    if (batchSize < SIZE_MIN)
      throw new TypeError(`record batch of ${batchSize} bytes: its header alone has ${SIZE_MIN}`)
    const end = at + SIZE_END + batchSize
    if (end > bytes.length) break
    if (bytes[at + MAGIC_AT] !== 2)
      throw new TypeError(`record batch of format ${bytes[at + MAGIC_AT]}: brokers since 4.0 have only format 2`)
    const batch = bytes.subarray(at, end)
    const lastOffset = lastOffsetOf(batch, bytes.subarray(end))
    batches.push({ offset: lastOffset.toString(), isControlRecord: (batch[22] & CONTROL_MASK) !== 0, bytes: batch })
    at = end
  }
  return batches
}

/** A damaged offset count must lead neither backwards nor past the following batch. */
function lastOffsetOf(batch: Buffer, following: Buffer): bigint {
  const base = batch.readBigInt64BE(0)
  const claimed = base + BigInt(Math.max(0, batch.readInt32BE(23)))
  if (following.length < 8) return claimed
  const next = following.readBigInt64BE(0)
  return next > base && claimed >= next ? next - 1n : claimed
}

export interface AbortedTransaction {
  readonly producerId: string
  readonly firstOffset: string
}

/**
 * Leaves out the batches of aborted transactions. Unlike kafkajs's own filter it takes any order of the list, any
 * number of transactions beginning in one batch, and only a control batch ends one.
 * Source: org.apache.kafka.clients.consumer.internals.CompletedFetch.
 */
export function filterAborted({
  messages,
  abortedTransactions,
}: {
  messages: WireBatch[]
  abortedTransactions: readonly AbortedTransaction[] | null
}): WireBatch[] {
  if (abortedTransactions === null || abortedTransactions.length === 0) return messages
  const pending = abortedTransactions
    .map(({ producerId, firstOffset }) => ({ producerId: BigInt(producerId), firstOffset: BigInt(firstOffset) }))
    .sort((a, b) => (a.firstOffset < b.firstOffset ? -1 : a.firstOffset > b.firstOffset ? 1 : 0))
  const aborting = new Set<bigint>()
  let next = 0
  return messages.filter((batch) => {
    const lastOffset = BigInt(batch.offset)
    while (next < pending.length && pending[next].firstOffset <= lastOffset) {
      aborting.add(pending[next].producerId)
      next += 1
    }
    const producerId = batch.bytes.readBigInt64BE(43)
    if (batch.isControlRecord) {
      aborting.delete(producerId)
      return true
    }
    return !(aborting.has(producerId) && (batch.bytes[22] & TRANSACTIONAL_MASK) !== 0)
  })
}

interface ProduceInput {
  acks: number
  timeout: number
  transactionalId?: string | null
  producerId?: { toString(): string }
  producerEpoch?: number
  topicData: {
    topic: string
    partitions: { partition: number; firstSequence: number; messages: PartitionMessages }[]
  }[]
}

const NO_PRODUCER = -1n

/** Produce request v3 (used up to v7): the batches go in as they were built, copied once. */
const produceRequest = ({
  acks,
  timeout,
  transactionalId = null,
  producerId,
  producerEpoch = 0,
  topicData,
}: ProduceInput) => ({
  apiKey: 0,
  apiVersion: 3,
  apiName: 'Produce',
  expectResponse: () => acks !== 0,
  encode: async (): Promise<Parts> => {
    const id = producerId === undefined ? NO_PRODUCER : BigInt(producerId.toString())
    const now = Date.now()
    const parts = new Parts()
    parts.string(transactionalId).int16(acks).int32(timeout).int32(topicData.length)
    for (const { topic, partitions } of topicData) {
      parts.string(topic).int32(partitions.length)
      for (const { partition, firstSequence, messages } of partitions) {
        const sequence = id === NO_PRODUCER ? -1 : firstSequence
        const batch = messages.records.finish(now, id, producerEpoch, sequence, transactionalId !== null)
        parts.int32(partition).int32(batch.length).bytes(batch)
      }
    }
    return parts
  },
})

/** Pieces of a request that are assembled once, in their final place. */
class Parts {
  readonly #parts: Buffer[] = []
  #size = 0

  bytes(part: Buffer): this {
    this.#parts.push(part)
    this.#size += part.length
    return this
  }

  int16(value: number): this {
    const part = Buffer.allocUnsafe(2)
    part.writeInt16BE(value)
    return this.bytes(part)
  }

  int32(value: number): this {
    const part = Buffer.allocUnsafe(4)
    part.writeInt32BE(value)
    return this.bytes(part)
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1)
    const text = Buffer.from(value)
    return this.int16(text.length).bytes(text)
  }

  appendTo(other: Parts): void {
    for (const part of this.#parts) other.bytes(part)
  }

  /** The request with its size in front, as it goes onto the wire. */
  toWire(): { buffer: Buffer; size(): number } {
    const buffer = Buffer.allocUnsafe(4 + this.#size)
    buffer.writeInt32BE(this.#size)
    let at = 4
    for (const part of this.#parts) {
      buffer.set(part, at)
      at += part.length
    }
    return { buffer, size: () => buffer.length }
  }
}

interface RequestInput {
  correlationId: number
  clientId: string
  request: { apiKey: number; apiVersion: number; encode(): Promise<Parts | { buffer: Buffer }> }
}

/** Prepends the request header to the encoded body. */
async function createRequest({
  correlationId,
  clientId,
  request,
}: RequestInput): Promise<{ buffer: Buffer; size(): number }> {
  const payload = await request.encode()
  const whole = new Parts().int16(request.apiKey).int16(request.apiVersion).int32(correlationId).string(clientId)
  if (payload instanceof Parts) payload.appendTo(whole)
  else whole.bytes(payload.buffer)
  return whole.toWire()
}

function replaceModule(path: string, exports: unknown): void {
  const filename = require.resolve(SOURCE + path)
  if (require.cache[filename] !== undefined) throw new Error(`${SOURCE}${path} was loaded before it could be replaced`)
  require.cache[filename] = {
    id: filename,
    filename,
    loaded: true,
    exports,
    children: [],
    paths: [],
    path: filename,
  } as unknown as NodeModule
}

/** Loads kafkajs with the replacements in place. */
export function loadClient(): Client {
  const { version } = require('kafkajs/package.json') as { version: string }
  if (version !== '2.2.4') throw new Error(`kafkajs is ${version}; its internals are known for 2.2.4 only`)
  silenceTimeoutWarning()
  replaceModule('protocol/requests/fetch/v4/decodeMessages.js', decodeRecordSet)
  replaceModule('consumer/filterAbortedMessages.js', filterAborted)
  replaceModule('protocol/requests/produce/v3/request.js', produceRequest)
  replaceModule('protocol/request.js', createRequest)
  keepLastStableOffset()
  closeOnRequestTimeout()
  const client = require('kafkajs') as Client
  stopOnOffsetOutOfRange()
  lookUpLostCoordinator()
  return client
}

type BatchClass = new (topic: string, fetchedOffset: string, partitionData: { lastStableOffset: string }) => object

/** kafkajs drops it on the way to the consumer, which then knows only of an end that an open transaction may be before. */
function keepLastStableOffset(): void {
  const filename = require.resolve(`${SOURCE}consumer/batch.js`)
  const Batch = require(filename) as BatchClass
  require.cache[filename]!.exports = class extends Batch {
    readonly lastStableOffset: string

    constructor(topic: string, fetchedOffset: string, partitionData: { lastStableOffset: string }) {
      super(topic, fetchedOffset, partitionData)
      this.lastStableOffset = partitionData.lastStableOffset
    }
  }
}

/**
 * Where retention has removed what a member has not read yet, kafkajs resets to the log's beginning, silently, and
 * commits that. Records would be missing and nobody would know: the member ends instead.
 */
function stopOnOffsetOutOfRange(): void {
  const ConsumerGroup = require(`${SOURCE}consumer/consumerGroup.js`) as { prototype: Record<string, unknown> }
  const { KafkaJSNonRetriableError } = require(`${SOURCE}errors.js`) as {
    KafkaJSNonRetriableError: new (message: string) => Error
  }
  ConsumerGroup.prototype.recoverFromOffsetOutOfRange = async ({
    topic,
    partition,
  }: {
    topic: string
    partition: number
  }) => {
    throw new KafkaJSNonRetriableError(
      `OFFSET_OUT_OF_RANGE: ${topic}/${partition} no longer keeps the offset to read next; retention has removed unread records`,
    )
  }
}

/** kafkajs sets timers that are already due; Node 24 and newer warn of each kind once. Nothing else is hidden. */
function silenceTimeoutWarning(): void {
  const emit = process.emitWarning.bind(process) as (...args: unknown[]) => void
  process.emitWarning = ((...args: unknown[]) => {
    const [, type] = args
    const name = typeof type === 'string' ? type : (type as { type?: string } | undefined)?.type
    if (name !== 'TimeoutNegativeWarning') emit(...args)
  }) as typeof process.emitWarning
}
