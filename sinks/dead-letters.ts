// Sends records that cannot be read, or that the store will never take, to the dead-letter topic: original key, bytes
// and headers, and the reason. It happens before the store's progress passes them, so a crash in between can repeat a
// dead letter but never lose one.
import { deadLetterHeaders } from '../platform/dead-letters/headers.ts'
import type { FetchedBatch, Kafka, OutgoingBatch, Producer } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { DLQ } from '../schemas/topics.ts'
import type { Reject } from './core/decode.ts'

/** The headers of many small records outweigh them; the topic takes batches of several times this. */
const SEND_BYTES = 1_048_576

/** At which of Kafka Connect's stages a record failed, and why. */
export interface Cause {
  readonly stage: 'VALUE_CONVERTER' | 'TASK_PUT'
  readonly errorClass: string
}

export const UNREADABLE: Cause = { stage: 'VALUE_CONVERTER', errorClass: 'plumbline.DecodeError' }
export const POISON: Cause = { stage: 'TASK_PUT', errorClass: 'plumbline.StorePoisonError' }

export class DeadLetters {
  readonly #kafka: Kafka
  #producer: Promise<Producer> | null = null
  #partitions = 0

  constructor(kafka: Kafka) {
    this.#kafka = kafka
  }

  /** Rejects with KafkaError when the broker does not accept them; the whole call may then be retried. */
  async send(
    { topic, partition }: FetchedBatch,
    rejects: readonly Reject[],
    { stage, errorClass }: Cause,
  ): Promise<void> {
    const producer = await this.#connected()
    let records = new RecordBatchBuilder()
    for (const [i, { batch, index, reason }] of rejects.entries()) {
      const offset = batch.offset(index)
      const refusal = { topic, partition, offset, stage, reason: errorClass, message: reason }
      records.add(batch.key(index), batch.value(index), deadLetterHeaders(refusal, batch.headers(index)))
      if (records.byteLength < SEND_BYTES && i < rejects.length - 1) continue
      const outgoing: OutgoingBatch = { topic: DLQ, partition: partition % this.#partitions, records }
      await producer.send([outgoing])
      records = new RecordBatchBuilder()
    }
  }

  async close(): Promise<void> {
    const producer = await this.#producer?.catch(() => null)
    await producer?.close()
  }

  /** Connects at the first dead letter: most sinks never send one. */
  #connected(): Promise<Producer> {
    this.#producer ??= this.#connect().catch((error: unknown) => {
      this.#producer = null
      throw error
    })
    return this.#producer
  }

  async #connect(): Promise<Producer> {
    const admin = await this.#kafka.admin()
    try {
      this.#partitions = await admin.partitionCount(DLQ)
    } finally {
      await admin.close()
    }
    return this.#kafka.producer()
  }
}
