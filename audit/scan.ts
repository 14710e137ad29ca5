// Reads the topics of one partition into its book: marks, dead letters, late, clean, raw, in this order (core/entries.ts
// says why). What cannot be read is a problem with its place, and the audit goes on with what can.
import { planOrNull } from '../platform/codec/reading-decoder.ts'
import type { ScanPlan } from '../platform/codec/reading-plan.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { readRefusal } from '../platform/dead-letters/headers.ts'
import { readMarksOf } from '../platform/dead-letters/letters.ts'
import type { OffsetRange, RangeReader } from '../platform/kafka/port.ts'
import { murmur2 } from '../platform/kafka/partitioner.ts'
import type { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { LATE_REASON_HEADER, REPLAY_OF_HEADER } from '../schemas/refine.ts'
import { CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import { PartitionBook } from './core/book.ts'
import { Entries, type PassingRecord } from './core/entries.ts'
import type { Findings } from './core/findings.ts'
import type { Cut } from './core/judge.ts'
import { AuditRecords, type RecordKind } from './core/records.ts'
import type { Ranges } from './inputs.ts'

export class PartitionScanner {
  readonly #reader: RangeReader
  readonly #fetchSchema: FetchSchema
  readonly #findings: Findings
  readonly #onRecords: (count: number) => void
  readonly #plans = new Map<number, ScanPlan | null>()
  readonly #records = new AuditRecords((id) => this.#plans.get(id))
  readonly #passing = new Passing(this.#records)

  /** @param onRecords told how many records were read, for a display */
  constructor(reader: RangeReader, fetchSchema: FetchSchema, findings: Findings, onRecords: (count: number) => void) {
    this.#reader = reader
    this.#fetchSchema = fetchSchema
    this.#findings = findings
    this.#onRecords = onRecords
  }

  async scan(ranges: Ranges, cut: Cut): Promise<PartitionBook> {
    const { partition } = cut
    const book = new PartitionBook(partition)
    const entries = new Entries(book, cut, this.#findings)
    const record = this.#passing
    const marks = ranges.marks[partition]
    if (marks !== undefined) await readMarksOf(this.#reader, partition, marks, book.marks)
    await this.#each(DLQ, partition, ranges.dlq[partition], (batch, i) => {
      const { topic, partition: from, offset, stage } = readRefusal(batch.headers(i))
      const state = book.marks.stateOf({ partition, offset: record.offset })
      entries.letter(record, { state, stage, topic, partition: from, offset })
    })
    await this.#each(LATE, partition, ranges.late[partition], (batch, i) =>
      entries.late(record, headerOf(batch, i, LATE_REASON_HEADER)),
    )
    await this.#each(CLEAN, partition, ranges.clean[partition], () => entries.clean(record))
    await this.#each(RAW, partition, ranges.raw[partition], (batch, i) =>
      entries.raw(record, batch.hasHeaders(i) ? headerOf(batch, i, REPLAY_OF_HEADER) : undefined),
    )
    return book
  }

  /** Calls `visit` for every record of the range; `#passing` says what it is meanwhile. */
  async #each(
    topic: string,
    partition: number,
    { start, end }: OffsetRange,
    visit: (batch: RecordBatch, i: number) => void,
  ): Promise<void> {
    if (start >= end) return
    const records = this.#records
    await this.#reader.read({ topic, partition }, start, end, async ({ batches }) => {
      for (const batch of batches) {
        for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
          let kind = records.kindOf(batch, i)
          if (kind === 'unknown-schema') {
            await this.#learn(records.schemaId)
            kind = records.kindOf(batch, i)
          }
          this.#passing.fill(kind, batch, i)
          visit(batch, i)
        }
        this.#onRecords(batch.count)
      }
    })
  }

  async #learn(schemaId: number): Promise<void> {
    const text = await this.#fetchSchema(schemaId)
    this.#plans.set(schemaId, planOrNull(text))
  }
}

/** The record that is being looked at: one object for all. */
class Passing implements PassingRecord {
  kind: RecordKind = 'placeless'
  offset = 0
  arrivalMs = 0
  hash = 0
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

  fill(kind: RecordKind, batch: RecordBatch, i: number): void {
    this.kind = kind
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
