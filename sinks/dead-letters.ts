// Sends records that cannot be read to the dead-letter topic: original key and bytes, the reason in Kafka Connect's
// header names, so that common tools show them. It happens before the store's progress passes them, so a crash in
// between can repeat a dead letter but never lose one.
import type { FetchedBatch, Kafka, OutgoingBatch, Producer } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch-builder.ts'
import { DLQ } from '../schemas/topics.ts'
import type { Reject } from './core/decode.ts'

/** Headers must stay small beside the record. */
const REASON_CHARS_MAX = 500

export class DeadLetters {
  readonly #kafka: Kafka
  #producer: Promise<Producer> | null = null
  #partitions = 0

  constructor(kafka: Kafka) {
    this.#kafka = kafka
  }

  /** Rejects with KafkaError when the broker does not take them; the whole call may then be repeated. */
  async send({ topic, partition }: FetchedBatch, rejects: readonly Reject[]): Promise<void> {
    const records = new RecordBatchBuilder()
    for (const { view, index, reason } of rejects) {
      records.add(view.key(index), view.value(index), [
        { key: '__connect.errors.topic', value: topic },
        { key: '__connect.errors.partition', value: String(partition) },
        { key: '__connect.errors.offset', value: String(view.offset(index)) },
        { key: '__connect.errors.stage', value: 'VALUE_CONVERTER' },
        { key: '__connect.errors.exception.class.name', value: 'plumbline.DecodeError' },
        { key: '__connect.errors.exception.message', value: reason.slice(0, REASON_CHARS_MAX) },
      ])
    }
    const producer = await this.#connected()
    const batch: OutgoingBatch = { topic: DLQ, partition: partition % this.#partitions, records }
    await producer.send([batch])
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
