// Collects the entries of many producers into one record batch per partition: what one send carries. Key and value go
// straight from the WAL entry's bytes into the batch.
import { partitionOf } from '../platform/kafka/partitioner.ts'
import type { OutgoingBatch } from '../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { keyAt, keyLength, soundEntryEnd } from '../platform/wal/format.ts'
import { MAX_RECORD_BYTES } from '../schemas/topics.ts'

/** Fields of a record beside key and value, at most; see RecordBatchBuilder. */
const RECORD_FIELDS_BYTES = 32

export class Batcher {
  readonly #topic: string
  readonly #builders: RecordBatchBuilder[]
  #count = 0

  constructor(topic: string, partitions: number) {
    this.#topic = topic
    this.#builders = Array.from({ length: partitions }, () => new RecordBatchBuilder())
  }

  get count(): number {
    return this.#count
  }

  /**
   * Takes the reading whose entry begins at `at`.
   * @returns false when its partition's batch is full: send first
   */
  add(bytes: Buffer, at: number): boolean {
    const key = keyAt(bytes, at)
    const length = keyLength(bytes, at)
    const value = key + length
    const valueLength = soundEntryEnd(bytes, at) - value
    const builder = this.#builders[partitionOf(bytes, key, length, this.#builders.length)]
    if (builder.count > 0 && builder.byteLength + length + valueLength + RECORD_FIELDS_BYTES > MAX_RECORD_BYTES)
      return false
    builder.append(bytes, key, length, bytes, value, valueLength)
    this.#count += 1
    return true
  }

  batches(): OutgoingBatch[] {
    return this.#builders.flatMap((records, partition) =>
      records.count > 0 ? [{ topic: this.#topic, partition, records }] : [],
    )
  }

  /** Only when the last send has ended well: after a failure its bytes may still be on their way. */
  clear(): void {
    for (const builder of this.#builders) builder.clear()
    this.#count = 0
  }
}
