// The topic `_schemas` as the registry's only memory: one partition, compacted, appended to and read back. State
// changes by reading alone, also by what we wrote ourselves, so the topic's order decides and nothing that failed or
// came late can make memory and topic differ.
import { createHash } from 'node:crypto'
import type { Logger } from '../platform/log.ts'
import { messageOf } from '../platform/errors.ts'
import type { Admin, FetchedBatch, Kafka, Producer, RangeReader } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import type { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { decodeRecord, encodeRecord } from './core/records.ts'
import type { Decision } from './core/decide.ts'
import { RegistryState } from './core/state.ts'

/** Confluent's name for it. */
export const SCHEMAS_TOPIC = '_schemas'
const AT = { topic: SCHEMAS_TOPIC, partition: 0 }
/** Record times are the producer's: a compacted topic of Confluent's is not set to LogAppendTime. */
const TOPIC = { name: SCHEMAS_TOPIC, partitions: 1, configs: { 'cleanup.policy': 'compact' } }

type Closable<T> = T & { close(): Promise<void> }

export class SchemaLog {
  readonly state = new RegistryState((text) => createHash('md5').update(text).digest())
  readonly #admin: Closable<Admin>
  readonly #producer: Producer
  readonly #reader: RangeReader
  readonly #log: Logger
  /** Offset to read next. */
  #position = 0
  /** Offsets of our own records that were ignored for a conflict, since the last append. */
  readonly #ignored = new Set<number>()

  private constructor(admin: Closable<Admin>, producer: Producer, reader: RangeReader, log: Logger) {
    this.#admin = admin
    this.#producer = producer
    this.#reader = reader
    this.#log = log
  }

  /** Creates the topic if need be and reads it to its end. */
  static async open(kafka: Kafka, log: Logger): Promise<SchemaLog> {
    const admin = await kafka.admin()
    await admin.ensureTopics([TOPIC])
    const schemas = new SchemaLog(admin, await kafka.producer(), await kafka.rangeReader(), log)
    await schemas.catchUp()
    log.info({ offset: schemas.#position, subjects: schemas.state.subjects(false).length }, 'schemas read')
    return schemas
  }

  /** Reads everything that is in the topic now. */
  async catchUp(): Promise<void> {
    const [{ start, end }] = await this.#admin.offsetRanges(SCHEMAS_TOPIC)
    this.#position = Math.max(this.#position, start)
    await this.#readTo(end)
  }

  /**
   * Appends records and reads them back. Resolves with false when one of them lost against a record that somebody
   * else wrote in the meantime; rejects if it is unknown whether they were written; the next `catchUp` resolves that.
   */
  async append(records: Decision<unknown>['records']): Promise<boolean> {
    const batch = new RecordBatchBuilder()
    for (const record of records) {
      const { key, value } = encodeRecord(record)
      batch.add(Buffer.from(key), value === null ? null : Buffer.from(value))
    }
    const [base] = await this.#producer.send([{ ...AT, records: batch }])
    this.#ignored.clear()
    await this.#readTo(base + records.length)
    return records.every((_, i) => !this.#ignored.has(base + i))
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.close(), this.#reader.close(), this.#admin.close()])
  }

  async #readTo(end: number): Promise<void> {
    if (this.#position >= end) return
    await this.#reader.read(AT, this.#position, end, (fetched: FetchedBatch) => {
      for (const batch of fetched.batches) for (let i = 0; i < batch.count; i += 1) this.#apply(batch, i)
      this.#position = fetched.nextOffset
    })
    // Compaction may have emptied the tail that was asked for.
    this.#position = Math.max(this.#position, end)
  }

  #apply(batch: RecordBatch, i: number): void {
    const offset = batch.offset(i)
    try {
      const key = batch.key(i)?.toString('utf8') ?? ''
      const value = batch.value(i)?.toString('utf8') ?? null
      if (this.state.apply(decodeRecord({ key, value }))) return
      this.#log.warn({ ...AT, offset, key }, 'another schema has this id already: the record is ignored')
    } catch (error) {
      this.#log.warn({ ...AT, offset, reason: messageOf(error) }, 'not a record of a schema registry: ignored')
    }
    this.#ignored.add(offset)
  }
}
