// Collects what the core emits into record batches, one list per topic of the task's partition. Readings keep the
// bytes they arrived as; only anomalies, which are rare, are encoded here.
import avsc from 'avsc'
import { encodeFramed, FRAME_BYTES } from '../../../platform/codec/reading.ts'
import { deadLetterHeaders, REFINE_STAGE } from '../../../platform/dead-letters/headers.ts'
import { decodeReading } from '../../../platform/codec/reading-decoder.ts'
import { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import type { OutgoingBatch } from '../../../platform/kafka/port.ts'
import { encodeHeaders, RecordBatchBuilder } from '../../../platform/kafka/record-batch/builder.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { loadSchema } from '../../../schemas/load.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { LATE_REASON_HEADER } from '../../../schemas/refine.ts'
import type { RefineTopics } from '../../../schemas/topics.ts'
import type { SchemaPlans } from './plans.ts'
import type { DeadLetterReason, KeyAndValue, LateReason, Outputs, RecordBytes, Score } from '../core/outputs.ts'
import { schemaIdAt } from '../../../platform/codec/framing.ts'

/** How much of a dead letter's key and value is kept; the rest is still in raw, at the offset that it names. */
const DEAD_KEY_BYTES_MAX = 64 * 1024
const DEAD_VALUE_BYTES_MAX = 1024 * 1024
/** A batch is closed at this size; topics of outputs take batches of twice that. */
const BATCH_BYTES = 4 * 1024 * 1024

const LATE_HEADERS: Readonly<Record<LateReason, Buffer>> = {
  late: encodeHeaders([{ key: LATE_REASON_HEADER, value: 'late' }]),
  correction: encodeHeaders([{ key: LATE_REASON_HEADER, value: 'correction' }]),
  regressed: encodeHeaders([{ key: LATE_REASON_HEADER, value: 'regressed' }]),
  ahead: encodeHeaders([{ key: LATE_REASON_HEADER, value: 'ahead' }]),
  replayed: encodeHeaders([{ key: LATE_REASON_HEADER, value: 'replayed' }]),
}

export const anomalyType = avsc.Type.forSchema(loadSchema('anomaly') as unknown as avsc.Schema)

/** Record batches of one topic, each below the size that its topic takes. */
export class BatchList {
  readonly #builders = [new RecordBatchBuilder()]
  #last = 0
  #marked = { last: 0, count: 0, byteLength: this.#builders[0].byteLength }

  /** The batch to append to. */
  current(): RecordBatchBuilder {
    if (this.#builders[this.#last].byteLength >= BATCH_BYTES) {
      this.#builders.push(new RecordBatchBuilder())
      this.#last += 1
    }
    return this.#builders[this.#last]
  }

  /** Batches that have records. */
  filled(): RecordBatchBuilder[] {
    return this.#builders.filter((builder) => builder.count > 0)
  }

  get count(): number {
    return this.#builders.reduce((sum, builder) => sum + builder.count, 0)
  }

  get byteLength(): number {
    return this.#builders.reduce((sum, builder) => sum + builder.byteLength, 0)
  }

  mark(): void {
    const { count, byteLength } = this.#builders[this.#last]
    this.#marked = { last: this.#last, count, byteLength }
  }

  rollback(): void {
    const { last, count, byteLength } = this.#marked
    this.#builders.length = last + 1
    this.#last = last
    this.#builders[last].truncate(count, byteLength)
  }

  clear(): void {
    this.#builders.length = 1
    this.#builders[0].clear()
    this.#last = 0
  }
}

/** What schema ids resolve to; every id of a record that gets here has been looked up. */
export type Schemas = Pick<SchemaPlans, 'get' | 'whyRefused'>

export class BatchOutputs implements Outputs {
  readonly cleanBatches = new BatchList()
  tsMin = Infinity
  tsMax = -Infinity
  #markedTimes = { tsMin: Infinity, tsMax: -Infinity }
  readonly #late = new BatchList()
  readonly #anomalies = new BatchList()
  readonly #deadLetters = new BatchList()
  readonly #topics: RefineTopics
  readonly #partition: number
  readonly #anomalySchemaId: number
  readonly #schemas: Schemas
  readonly #scanner = new ReadingScanner()

  constructor(topics: RefineTopics, partition: number, anomalySchemaId: number, schemas: Schemas) {
    this.#topics = topics
    this.#partition = partition
    this.#anomalySchemaId = anomalySchemaId
    this.#schemas = schemas
  }

  clean(record: RecordBytes, ts: number): void {
    const { key, keyAt, keyLength, value, valueAt, valueLength } = record
    this.cleanBatches.current().append(key, keyAt, keyLength, value, valueAt, valueLength)
    if (ts < this.tsMin) this.tsMin = ts
    if (ts > this.tsMax) this.tsMax = ts
  }

  late(record: RecordBytes, reason: LateReason): void {
    const { key, keyAt, keyLength, value, valueAt, valueLength } = record
    this.#late.current().append(key, keyAt, keyLength, value, valueAt, valueLength, LATE_HEADERS[reason])
  }

  anomaly({ key, keyAt, keyLength, value, valueAt, valueLength }: RecordBytes, score: Score): void {
    const bytes = Buffer.from(value.buffer, value.byteOffset + valueAt, valueLength)
    const id = schemaIdAt(bytes, 0)
    const plan = this.#schemas.get(id)!
    const reading = decodeReading(this.#scanner, plan, id, bytes, FRAME_BYTES, bytes.length)
    const encoded = encodeFramed(anomalyType, this.#anomalySchemaId, {
      tenant_id: reading.tenant_id,
      site_id: reading.site_id,
      node_id: reading.node_id,
      sensor_id: reading.sensor_id,
      epoch: reading.epoch,
      seq: reading.seq,
      ts: reading.ts,
      metric: METRICS[score.metric].name,
      value: score.value,
      detector: 'zscore',
      score: score.z,
      threshold: score.threshold,
      mean: score.mean,
      stddev: score.stddev,
      window_count: score.windowCount,
    })
    this.#anomalies.current().append(key, keyAt, keyLength, encoded, 0, encoded.length)
  }

  deadLetter(batch: RecordBatch, index: number, reason: DeadLetterReason, detail: string): void {
    const at = { topic: this.#topics.raw, partition: this.#partition, offset: batch.offset(index) }
    const message =
      reason === 'UNKNOWN_SCHEMA'
        ? `${detail}: ${this.#schemas.whyRefused(schemaIdAt(batch.bytes, batch.valueAt(index)))}`
        : detail
    const refusal = { ...at, stage: REFINE_STAGE, reason, message }
    const headers = encodeHeaders(deadLetterHeaders(refusal, batch.headers(index)))
    const { bytes } = batch
    // As it arrived: its header names its schema again when it is replayed.
    const [valueAt, valueLength] = batch.arrivedValue(index)
    this.#deadLetters
      .current()
      .append(
        bytes,
        batch.keyAt(index),
        Math.min(batch.keyLength(index), DEAD_KEY_BYTES_MAX),
        bytes,
        valueAt,
        Math.min(valueLength, DEAD_VALUE_BYTES_MAX),
        headers,
      )
  }

  deadLetterOf(offset: number, bytes: KeyAndValue | null, reason: DeadLetterReason, message: string): void {
    const at = { topic: this.#topics.raw, partition: this.#partition, offset }
    const headers = deadLetterHeaders({ ...at, stage: REFINE_STAGE, reason, message }, [])
    this.#deadLetters.current().add(bytes?.key ?? null, bytes?.value ?? null, headers)
  }

  mark(): void {
    for (const list of this.#lists()) list.mark()
    this.#markedTimes = { tsMin: this.tsMin, tsMax: this.tsMax }
  }

  rollback(): void {
    for (const list of this.#lists()) list.rollback()
    Object.assign(this, this.#markedTimes)
  }

  get byteLength(): number {
    return (
      this.cleanBatches.byteLength + this.#late.byteLength + this.#anomalies.byteLength + this.#deadLetters.byteLength
    )
  }

  /** Requests to send, in order: a request takes one batch per topic, and clean's batches stay in their order. */
  requests(): OutgoingBatch[][] {
    const { clean, late, anomalies, dlq } = this.#topics
    const lists: [string, RecordBatchBuilder[]][] = [
      [clean, this.cleanBatches.filled()],
      [late, this.#late.filled()],
      [anomalies, this.#anomalies.filled()],
      [dlq, this.#deadLetters.filled()],
    ]
    const rounds = Math.max(...lists.map(([, builders]) => builders.length))
    return Array.from({ length: rounds }, (_, round) =>
      lists.flatMap(([topic, builders]) =>
        builders[round] === undefined ? [] : [{ topic, partition: this.#partition, records: builders[round] }],
      ),
    )
  }

  clear(): void {
    for (const list of this.#lists()) list.clear()
    this.tsMin = Infinity
    this.tsMax = -Infinity
  }

  #lists(): BatchList[] {
    return [this.cleanBatches, this.#late, this.#anomalies, this.#deadLetters]
  }
}
