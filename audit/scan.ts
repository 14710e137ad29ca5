// Reads the topics of one partition into its books, in the order marks, dead letters, late, clean, raw: what the sink
// refused must be known before late and clean are read, and what late has before clean, so that readings of the same
// event time are counted once for the store.
import { readRefusal, REFINE_STAGE } from '../platform/dead-letters/headers.ts'
import type { ScanPlan } from '../platform/codec/reading-scanner.ts'
import type { RangeReader } from '../platform/kafka/port.ts'
import type { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { LATE_REASON_HEADER, REPLAY_OF_HEADER } from '../schemas/refine.ts'
import type { FetchSchema } from '../platform/codec/register.ts'
import { CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import { PartitionBook } from './core/book.ts'
import type { Findings } from './core/findings.ts'
import { AuditRecords, keyText, planOrNull, type RecordKind } from './core/records.ts'
import { readPlace } from '../platform/dead-letters/letter.ts'
import { readMarksOf } from '../platform/dead-letters/letters.ts'
import { type Inputs, topicPartition } from './inputs.ts'

/** Of refine's dead letters; the sink has other stages. */

const LETTER_COUNTS = { open: 'openLetters', replayed: 'replayedLetters', dropped: 'droppedLetters' } as const

export class PartitionScanner {
  readonly #reader: RangeReader
  readonly #fetchSchema: FetchSchema
  readonly #findings: Findings
  readonly #onRecords: (count: number) => void
  readonly #plans = new Map<number, ScanPlan | null>()
  readonly #records = new AuditRecords((id) => this.#plans.get(id))

  /** @param onRecords told how many records were read, for a display */
  constructor(reader: RangeReader, fetchSchema: FetchSchema, findings: Findings, onRecords: (count: number) => void) {
    this.#reader = reader
    this.#fetchSchema = fetchSchema
    this.#findings = findings
    this.#onRecords = onRecords
  }

  async scan(inputs: Inputs, partition: number): Promise<PartitionBook> {
    const book = new PartitionBook(partition)
    const marks = inputs.ranges.marks[partition]
    if (marks !== undefined) await readMarksOf(this.#reader, partition, marks, book.marks)
    await this.#deadLetters(inputs, book)
    await this.#late(inputs, book)
    await this.#clean(inputs, book)
    await this.#raw(inputs, book)
    return book
  }

  async #late({ ranges, refine, store }: Inputs, book: PartitionBook): Promise<void> {
    const { counts, partition } = book
    const range = ranges.late[partition]
    const limit = range.start === 0 ? (refine[partition].ledger?.late ?? 0) : Infinity
    const stored = store?.offsets.get(topicPartition(LATE, partition)) ?? 0
    const records = this.#records
    await this.#each(LATE, partition, range.start, range.end, (kind, batch, i) => {
      if (counts.late >= limit) {
        counts.beyond += 1
        return
      }
      counts.late += 1
      const reason = headerOf(batch, i, LATE_REASON_HEADER)
      if (reason === 'correction') counts.corrections += 1
      if (reason === 'regressed') counts.regressed += 1
      if (batch.offset(i) >= stored) counts.towardsStore += 1
      if (kind !== 'reading') {
        this.#findings.problem('UNREADABLE', `${LATE}/${partition} offset ${batch.offset(i)} is no reading`)
        return
      }
      const sensor = book.sensor(records.key)
      book.enter('late', sensor.lane(records.epoch), records.seq, records.ts)
      if (batch.offset(i) >= stored || sensor.lateTs.has(records.ts)) return
      if (book.refusedBySink.has(`${LATE}@${batch.offset(i)}`)) {
        sensor.refuse(records.ts)
        return
      }
      sensor.lateTs.add(records.ts)
      sensor.stored += 1
    })
  }

  async #deadLetters({ ranges, refine }: Inputs, book: PartitionBook): Promise<void> {
    const { counts, partition } = book
    const range = ranges.dlq[partition]
    const limit = range.start === 0 ? (refine[partition].ledger?.deadLettered ?? 0) : Infinity
    const records = this.#records
    await this.#each(DLQ, partition, range.start, range.end, (kind, batch, i) => {
      const { topic, offset, stage, reason } = readRefusal(batch.headers(i))
      counts[LETTER_COUNTS[book.marks.stateOf({ partition, offset: batch.offset(i) })]] += 1
      if (stage !== REFINE_STAGE) {
        book.refusedBySink.add(`${topic}@${offset}`)
        return
      }
      if (counts.deadLetters >= limit) {
        counts.beyond += 1
        return
      }
      counts.deadLetters += 1
      if (reason === 'UNKNOWN_CONTROL') counts.unknownControls += 1
      if (kind === 'reading') book.enter('dead', book.sensor(records.key).lane(records.epoch), records.seq, records.ts)
    })
  }

  async #clean({ ranges, refine, store }: Inputs, book: PartitionBook): Promise<void> {
    const { counts, partition } = book
    const range = ranges.clean[partition]
    const limit = range.start === 0 ? (refine[partition].ledger?.emitted ?? 0) : Infinity
    const stored = store?.offsets.get(topicPartition(CLEAN, partition)) ?? 0
    const records = this.#records
    await this.#each(CLEAN, partition, range.start, range.end, (kind, batch, i) => {
      if (counts.clean >= limit) {
        counts.beyond += 1
        return
      }
      counts.clean += 1
      const offset = batch.offset(i)
      if (offset >= stored) counts.towardsStore += 1
      if (kind !== 'reading') {
        this.#findings.problem('UNREADABLE', `${CLEAN}/${partition} offset ${offset} is no reading`)
        return
      }
      const { key, epoch, seq, ts } = records
      const sensor = book.sensor(key)
      if (!book.enter('clean', sensor.lane(epoch), seq, ts))
        this.#findings.problem(
          'TWICE',
          `${CLEAN}/${partition} offset ${offset}: ${keyText(key)} epoch ${epoch} seq ${seq} ts ${ts} is there twice`,
        )
      if (ts <= sensor.lastTs)
        this.#findings.problem(
          'TIME_NOT_INCREASING',
          `${CLEAN}/${partition} offset ${offset}: ts ${ts} of ${keyText(key)} follows ${sensor.lastTs}`,
        )
      else sensor.lastTs = ts
      if (offset >= stored || (sensor.lateTs.size > 0 && sensor.lateTs.has(ts))) return
      if (book.refusedBySink.size > 0 && book.refusedBySink.has(`${CLEAN}@${offset}`)) sensor.refuse(ts)
      else sensor.stored += 1
    })
  }

  async #raw({ ranges, refine }: Inputs, book: PartitionBook): Promise<void> {
    const { counts, partition } = book
    const range = ranges.raw[partition]
    const committed = refine[partition].committed ?? range.start
    const records = this.#records
    await this.#each(RAW, partition, range.start, range.end, (kind, batch, i) => {
      const isBelow = batch.offset(i) < committed
      if (isBelow) counts.rawBelow += 1
      else counts.rawAhead += 1
      if (kind === 'control' && isBelow) counts.controls += 1
      if (kind !== 'reading') return
      const lane = book.sensor(records.key).lane(records.epoch)
      const replayOf = batch.hasHeaders(i) ? headerOf(batch, i, REPLAY_OF_HEADER) : undefined
      if (replayOf === undefined) lane.records += 1
      else this.#replay(book, replayOf, batch.offset(i))
      book.enter(isBelow ? 'raw' : 'ahead', lane, records.seq, records.ts)
    })
  }

  #replay({ partition, replays }: PartitionBook, of: string, offset: number): void {
    const place = readPlace(of)
    if (place?.partition === partition && !replays.add(place.offset))
      this.#findings.problem('REPLAYED_TWICE', `${RAW}/${partition} offset ${offset} replays dead letter ${of} again`)
  }

  /** Calls `visit` for every record of [from, to); the reading, where it is one, stands in `#records` meanwhile. */
  async #each(
    topic: string,
    partition: number,
    from: number,
    to: number,
    visit: (kind: RecordKind, batch: RecordBatch, i: number) => void,
  ): Promise<void> {
    if (from >= to) return
    const records = this.#records
    await this.#reader.read({ topic, partition }, from, to, async ({ batches }) => {
      for (const batch of batches) {
        for (let i = 0; i < batch.count && batch.offset(i) < to; i += 1) {
          let kind = records.kindOf(batch, i)
          if (kind === 'unknown-schema') {
            await this.#learn(records.schemaId)
            kind = records.kindOf(batch, i)
          }
          visit(kind, batch, i)
        }
        this.#onRecords(batch.count)
      }
    })
  }

  async #learn(schemaId: number): Promise<void> {
    const text = await this.#fetchSchema(schemaId)
    this.#plans.set(schemaId, text === null ? null : planOrNull(text))
  }
}

function headerOf(batch: RecordBatch, i: number, name: string): string | undefined {
  return batch
    .headers(i)
    .find(({ key }) => key === name)
    ?.value?.toString()
}
