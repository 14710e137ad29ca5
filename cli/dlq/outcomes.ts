// Gives dead letters their outcome, each exactly once. One transaction holds some replayed records and the marks of the
// letters that they came from, so that there is never one without the other:
//   1. the producer fences the former owner of its transactional id: a killed run, or one that is still active
//   2. only then the marks are read: what an earlier run has committed is among them, what it has not is aborted
//   3. records to telemetry.raw, marks to telemetry.dlq.marks, commit
// Every run uses the same id, so both topics have one transactional writer. A run that is killed within a transaction
// holds refine back on the partition it was writing to until the next run, or until the broker aborts the transaction.
import { KafkaError } from '../../platform/errors.ts'
import type { Admin, Kafka, OutgoingBatch, TransactionalProducer } from '../../platform/kafka/port.ts'
import { type HeaderInput, RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { REPLAY_AS_HEADER, REPLAY_OF_HEADER } from '../../schemas/refine.ts'
import { DLQ, DLQ_MARKS, RAW, topicSpec } from '../../schemas/topics.ts'
import { headerBytes, ownHeaders } from '../../platform/dead-letters/headers.ts'
import { type DeadLetter, placeText } from '../../platform/dead-letters/letter.ts'
import { markRecord } from '../../platform/dead-letters/marks.ts'
import { CommandError } from '../core/errors.ts'
import { isFenced } from '../../platform/kafka/error-codes.ts'

export const TRANSACTIONAL_ID = 'dlq-outcomes'
const TRANSACTION_TIMEOUT_MS = 10_000
/** A transaction takes some 20 ms, during which it holds refine back: few letters keep it short. */
const LETTERS_MAX = 200
/** Half of what telemetry.raw takes in one batch; a letter that is larger goes alone. */
const BYTES_MAX = 512 * 1024

export class Outcomes {
  readonly #producer: TransactionalProducer
  #partition = -1
  /** By partition of telemetry.raw: nearly all belong in the one that they came from. */
  readonly #records = new Map<number, RecordBatchBuilder>()
  readonly #marks = new RecordBatchBuilder()

  private constructor(producer: TransactionalProducer) {
    this.#producer = producer
  }

  /** Fences every other run. Read the marks only afterwards. */
  static async open(kafka: Kafka, admin: Admin): Promise<Outcomes> {
    const { name, configs } = topicSpec(DLQ_MARKS)
    await admin.ensureTopics([{ name, partitions: await admin.partitionCount(DLQ), configs }])
    const producer = await kafka.transactionalProducer({
      transactionalId: TRANSACTIONAL_ID,
      transactionTimeoutMs: TRANSACTION_TIMEOUT_MS,
    })
    await producer.fence()
    return new Outcomes(producer)
  }

  /**
   * Sends the letter's record again, with its key, value and own headers as they are, once committed.
   * @param partition of telemetry.raw
   */
  async replay(letter: DeadLetter, as: 'record' | 'late', partition: number): Promise<void> {
    await this.#makeRoom(letter)
    const headers: HeaderInput[] = [...ownHeaders(letter.headers), { key: REPLAY_OF_HEADER, value: placeText(letter) }]
    if (as === 'late') headers.push({ key: REPLAY_AS_HEADER, value: 'late' })
    const records = this.#records.get(partition) ?? new RecordBatchBuilder()
    this.#records.set(partition, records)
    records.add(letter.key, letter.value, headers)
    const { key, value } = markRecord(letter, 'replayed', `${RAW}/${partition}`)
    this.#marks.add(key, value)
  }

  async drop(letter: DeadLetter): Promise<void> {
    await this.#makeRoom(letter)
    const { key, value } = markRecord(letter, 'dropped')
    this.#marks.add(key, value)
  }

  /** Commits what was added; after an error the next run finds out what counts. */
  async commit(): Promise<void> {
    if (this.#marks.count === 0) return
    const batches: OutgoingBatch[] = [
      { topic: DLQ_MARKS, partition: this.#partition, records: this.#marks },
      ...[...this.#records].map(([partition, records]) => ({ topic: RAW, partition, records })),
    ]
    try {
      const transaction = await this.#producer.begin()
      await transaction.send(batches)
      await transaction.commit()
    } catch (error) {
      throw fencedOr(error)
    }
    this.#records.clear()
    this.#marks.clear()
  }

  async close(): Promise<void> {
    await this.#producer.close()
  }

  async #makeRoom({ partition, key, value, headers }: DeadLetter): Promise<void> {
    const waiting = [...this.#records.values()].reduce((sum, { byteLength }) => sum + byteLength, 0)
    const bytes = waiting + (key?.length ?? 0) + (value?.length ?? 0) + headerBytes(headers)
    const isFull = this.#marks.count >= LETTERS_MAX || bytes > BYTES_MAX
    if (isFull || partition !== this.#partition) await this.commit()
    this.#partition = partition
  }
}

function fencedOr(error: unknown): unknown {
  if (!(error instanceof KafkaError) || !(isFenced(error.code) || error.code === 'INVALID_TXN_STATE')) return error
  return new CommandError(
    'TAKEN_OVER',
    'another "plumbline dlq replay" or "drop" has begun meanwhile and this one has ended: let that one finish, then run this again; no dead letter is dealt with twice',
    { cause: error },
  )
}
