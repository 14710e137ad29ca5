// Reads the topics of one partition into its book: marks, dead letters, late, clean, raw, in this order (core/entries.ts
// says why). What cannot be read is a problem with its place, and the audit continues with what can.
import type { SchemaName } from '../platform/codec/framing.ts'
import type { Labels } from '../platform/codec/labels.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { readRefusal } from '../platform/dead-letters/headers.ts'
import { readMarksOf } from '../platform/dead-letters/letters.ts'
import { KafkaError, messageOf } from '../platform/errors.ts'
import type { OffsetRange, RangeReader } from '../platform/kafka/port.ts'
import { murmur2 } from '../platform/kafka/partitioner.ts'
import type { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { LATE_REASON_HEADER, REPLAY_OF_HEADER } from '../schemas/refine.ts'
import { CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import { PartitionBook } from './core/book.ts'
import { Entries, type PassingRecord } from './core/entries.ts'
import { ExtentCoverage, type Extents } from './core/extents.ts'
import type { Findings } from './core/findings.ts'
import type { Cut } from './core/judge.ts'
import { AuditRecords, type RecordKind } from './core/records.ts'
import { AuditSchemas } from './schemas.ts'
import type { Ranges } from './inputs.ts'

export class PartitionScanner {
  /** Everything so far could be read. */
  hasReadAll = true
  readonly #reader: RangeReader
  readonly #findings: Findings
  readonly #onRecords: (count: number) => void
  readonly #schemas: AuditSchemas
  readonly #records: AuditRecords
  readonly #passing: Passing
  /** Schemas that could not be fetched: asked for once. */
  readonly #unanswered = new Set<number | string>()
  /** Everything in the current partition could be read. */
  #isComplete = true

  /** @param onRecords called with the number of records read, for progress display */
  constructor(reader: RangeReader, fetchSchema: FetchSchema, findings: Findings, onRecords: (count: number) => void) {
    this.#reader = reader
    this.#schemas = new AuditSchemas(fetchSchema)
    this.#records = new AuditRecords(this.#schemas.planOf, this.#schemas.idOfGuid)
    this.#passing = new Passing(this.#records)
    this.#findings = findings
    this.#onRecords = onRecords
  }

  /** @param extents of the partition; @param knownFrom offset in clean from which on they are complete */
  async scan(ranges: Ranges, cut: Cut, extents: Extents, knownFrom: number): Promise<PartitionBook> {
    const { partition } = cut
    const known = { cleanStart: cut.starts.clean, knownFrom }
    const coverage = new ExtentCoverage(extents, partition, known, this.#findings)
    const book = new PartitionBook(partition)
    const entries = new Entries(book, cut, this.#findings)
    const record = this.#passing
    const marks = ranges.marks[partition]
    if (marks !== undefined) await readMarksOf(this.#reader, partition, marks, book.marks)
    await this.#each(DLQ, partition, ranges.dlq[partition], (batch, i) => {
      const { topic, partition: from, offset, stage, reason, message } = readRefusal(batch.headers(i))
      if (reason === 'REMOVED_UNREAD') this.#findings.note(`accepted loss: ${message}`)
      const state = book.marks.stateOf({ partition, offset: record.offset })
      entries.letter(record, { state, stage, topic, partition: from, offset })
    })
    await this.#each(LATE, partition, ranges.late[partition], (batch, i) =>
      entries.late(record, headerOf(batch, i, LATE_REASON_HEADER), this.erasedBy(record.kind)),
    )
    await this.#each(CLEAN, partition, ranges.clean[partition], () => {
      coverage.record(record.offset)
      entries.clean(record)
    })
    coverage.finish(cut.isStill && !cut.isHeld)
    await this.#each(RAW, partition, ranges.raw[partition], (batch, i) =>
      entries.raw(record, batch.hasHeaders(i) ? headerOf(batch, i, REPLAY_OF_HEADER) : undefined),
    )
    book.isComplete = this.#isComplete
    this.hasReadAll &&= this.#isComplete
    this.#isComplete = true
    return book
  }

  /** Readings of a range; the record is valid during the call only. */
  async eachReading(
    topic: string,
    partition: number,
    range: OffsetRange,
    visit: (record: PassingRecord) => void,
  ): Promise<void> {
    await this.#each(topic, partition, range, () => {
      if (this.#passing.kind === 'reading') visit(this.#passing)
    })
  }

  /** Names of the metrics whose values the visited record withdraws. */
  erasedBy(kind: RecordKind): readonly string[] {
    return kind === 'reading' ? this.#records.erasedIn(this.#passing.batch!) : NOTHING
  }

  /** Site, node and tags of the visited reading. */
  labelTexts(): Labels {
    return this.#records.labelTextsIn(this.#passing.batch!)
  }

  /** Calls `visit` for every record of the range; `#passing` describes it during the call. */
  async #each(
    topic: string,
    partition: number,
    { start, end }: OffsetRange,
    visit: (batch: RecordBatch, i: number) => void,
  ): Promise<void> {
    if (start >= end) return
    let next = start
    try {
      await this.#reader.read({ topic, partition }, start, end, async ({ batches, nextOffset }) => {
        for (const batch of batches) await this.#batch(batch, end, visit)
        next = nextOffset
      })
    } catch (error) {
      if (!(error instanceof KafkaError)) throw error
      this.#isComplete = false
      this.#findings.problem(
        'TOPIC_UNREADABLE',
        `${topic}/${partition} cannot be read from offset ${next} on (${error.code}): ${error.message}; the partition is not compared`,
      )
    }
  }

  async #batch(batch: RecordBatch, end: number, visit: (batch: RecordBatch, i: number) => void): Promise<void> {
    const records = this.#records
    for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
      let kind = records.kindOf(batch, i)
      if (kind === 'unknown-schema') {
        const isKnown = await this.#learn(records.schema)
        kind = isKnown ? records.kindOf(batch, i) : 'unread'
      }
      this.#passing.fill(kind, batch, i)
      visit(batch, i)
    }
    this.#onRecords(batch.count)
  }

  /** False if the registry does not answer. */
  async #learn(name: SchemaName): Promise<boolean> {
    const key = 'id' in name ? name.id : name.guid
    if (this.#unanswered.has(key)) return false
    try {
      await this.#schemas.learn(name)
      return true
    } catch (error) {
      this.#unanswered.add(key)
      this.#isComplete = false
      this.#findings.problem(
        'REGISTRY_UNAVAILABLE',
        `schema ${key} cannot be fetched, so its records cannot be compared: ${messageOf(error)}`,
      )
      return false
    }
  }
}

const NOTHING: readonly string[] = []

/** The record being visited: one object, reused for all. */
class Passing implements PassingRecord {
  kind: RecordKind = 'placeless'
  offset = 0
  arrivalMs = 0
  hash = 0
  batch: RecordBatch | null = null
  readonly #records: AuditRecords

  constructor(records: AuditRecords) {
    this.#records = records
  }

  get key(): string {
    return this.#records.key
  }
  get epoch(): number {
    return this.#records.epoch
  }
  get seq(): number {
    return this.#records.seq
  }
  get ts(): number {
    return this.#records.ts
  }
  get labels(): number {
    return this.#records.labelsIn(this.batch!)
  }
  get metrics(): Float64Array {
    return this.#records.metrics
  }

  fill(kind: RecordKind, batch: RecordBatch, i: number): void {
    this.kind = kind
    this.batch = batch
    this.offset = batch.offset(i)
    this.arrivalMs = batch.timestamp(i)
    this.hash = murmur2(batch.bytes, batch.valueAt(i), Math.max(0, batch.valueLength(i)))
  }
}

function headerOf(batch: RecordBatch, i: number, name: string): string | undefined {
  return batch
    .headers(i)
    .find(({ key }) => key === name)
    ?.value?.toString()
}
