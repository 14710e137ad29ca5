// Finds records in a partition without reading all of it: by arrival time, which rises with the offsets, and by the numbers
// or times of one sensor, which mostly do. Each step is one bounded fetch; a search that would cost more gives up and says so.
import type { FetchSchema } from '../../platform/codec/register.ts'
import type { OffsetRange, RangeReader, TopicPartition } from '../../platform/kafka/port.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { LATE_REASON_HEADER, REPLAY_OF_HEADER } from '../../schemas/refine.ts'
import { AuditRecords } from '../../audit/core/records.ts'
import { AuditSchemas } from '../../audit/schemas.ts'
import type { Found } from './core/fates.ts'
import { compareTo, type Numbered, type Target } from './core/target.ts'

/** Between two windows a search can end; what a fetch brings, mostly. */
const WINDOW_OFFSETS = 40_000
/** A range this small is read through. */
const READ_THROUGH = 20_000
/** Records that one step may read until it meets the sensor. */
const PROBE_RECORDS = 500_000

/** A reading of the key that is looked for; valid during the call only. */
export type Visit = (batch: RecordBatch, i: number, reading: Numbered) => boolean | void

export class LogSearch {
  readonly #reader: RangeReader
  readonly #schemas: AuditSchemas
  readonly #records: AuditRecords
  /** Records read so far, for messages. */
  read = 0

  constructor(reader: RangeReader, fetchSchema: FetchSchema) {
    this.#reader = reader
    this.#schemas = new AuditSchemas(fetchSchema)
    this.#records = new AuditRecords(this.#schemas.planOf, this.#schemas.idOfGuid)
  }

  /** The first offset that arrived at `ms` or later; the end if there is none. */
  async offsetAt(at: TopicPartition, { start, end }: OffsetRange, ms: number): Promise<number> {
    let [low, high] = [start, end]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const batches = await this.#firstFrom(at, middle, high)
      const [first, last] = [batches?.[0], batches?.at(-1)]
      if (first === undefined || last === undefined || first.timestamp(0) >= ms) high = middle
      else if (last.timestamp(last.count - 1) < ms) low = last.lastOffset + 1
      else return Math.max(low, offsetIn(batches!, ms))
    }
    return low
  }

  /** Calls `visit` with every reading of the key in [from, to), in order, until it returns false. */
  async each(at: TopicPartition, from: number, to: number, key: string, visit: Visit): Promise<void> {
    const bytes = Buffer.from(key, 'latin1')
    let isDone = false
    for (let next = from; next < to && !isDone; next += WINDOW_OFFSETS)
      await this.batches(at, next, Math.min(to, next + WINDOW_OFFSETS), async (batch, end) => {
        if (!isDone && !(await this.#visitBatch(batch, end, bytes, visit))) isDone = true
      })
  }

  /** Calls `visit` with the batches of [from, to). */
  async batches(
    at: TopicPartition,
    from: number,
    to: number,
    visit: (batch: RecordBatch, end: number) => void | Promise<void>,
  ): Promise<void> {
    if (from >= to) return
    await this.#reader.read(at, from, to, async ({ batches }) => {
      for (const batch of batches) {
        this.read += batch.count
        await visit(batch, to)
      }
    })
  }

  /** Calls `visit` with the record at that offset, if there is one. */
  async at(
    at: TopicPartition,
    offset: number,
    visit: (batch: RecordBatch, i: number) => void | Promise<void>,
  ): Promise<void> {
    await this.batches(at, offset, offset + 1, (batch) => {
      const i = batch.firstAtOrAfter(offset)
      return i < batch.count && batch.offset(i) === offset ? visit(batch, i) : undefined
    })
  }

  /**
   * A small range of offsets that holds the target, if its sensor's numbers or times rise with the offsets.
   * @returns null where the sensor is too rare for it
   */
  async around(at: TopicPartition, { start, end }: OffsetRange, target: Target): Promise<OffsetRange | null> {
    let [low, high] = [start, end]
    let after = end
    while (high - low > READ_THROUGH) {
      const middle = Math.floor((low + high) / 2)
      const probe = await this.#probe(at, middle, end, target)
      if (probe === 'too rare') return null
      if (probe === null || probe.order >= 0) {
        high = middle
        if (probe !== null) after = probe.offset
      } else low = probe.offset + 1
    }
    // What comes out of order is not far away.
    return { start: Math.max(start, low - READ_THROUGH), end: Math.min(end, Math.max(high, after) + READ_THROUGH) }
  }

  async #probe(
    at: TopicPartition,
    from: number,
    end: number,
    target: Target,
  ): Promise<{ offset: number; order: number } | null | 'too rare'> {
    const to = Math.min(end, from + PROBE_RECORDS)
    let found: { offset: number; order: number } | null = null
    await this.each(at, from, to, target.key, (batch, i, reading) => {
      found = { offset: batch.offset(i), order: compareTo(target, reading) }
      return false
    })
    return found ?? (to < end ? 'too rare' : null)
  }

  /** False when the visitor has enough. */
  async #visitBatch(batch: RecordBatch, end: number, key: Buffer, visit: Visit): Promise<boolean> {
    for (let i = 0; i < batch.count && batch.offset(i) < end; i += 1) {
      if (!hasKey(batch, i, key)) continue
      const reading = await this.readingIn(batch, i)
      if (reading !== null && visit(batch, i, reading) === false) return false
    }
    return true
  }

  /** Null where the record is not a reading with a place. */
  async readingIn(batch: RecordBatch, i: number): Promise<(Numbered & { key: string }) | null> {
    const records = this.#records
    let kind = records.kindOf(batch, i)
    if (kind === 'unknown-schema') {
      await this.#schemas.learn(records.schema)
      kind = records.kindOf(batch, i)
    }
    if (kind !== 'reading') return null
    const { key, epoch, seq, ts } = records
    return { key, epoch, seq, ts }
  }

  /** One fetch from `from` on that has a record below `to`; null if there is none. */
  async #firstFrom(at: TopicPartition, from: number, to: number): Promise<RecordBatch[] | null> {
    for (let position = from; position < to;) {
      let found: RecordBatch[] = []
      let next = position + 1
      await this.#reader.read(at, position, position + 1, ({ batches, nextOffset }) => {
        found = batches.filter((batch) => batch.count > 0)
        next = Math.max(next, nextOffset)
      })
      if (found.length > 0) return found[0].offset(0) < to ? found : null
      position = next
    }
    return null
  }
}

export function foundIn({ topic, partition }: TopicPartition, batch: RecordBatch, i: number, reading: Numbered): Found {
  const header = (name: string): string | undefined =>
    batch.hasHeaders(i)
      ? batch
          .headers(i)
          .find(({ key }) => key === name)
          ?.value?.toString()
      : undefined
  const { epoch, seq, ts } = reading
  return {
    ...{ topic, partition, epoch, seq, ts },
    offset: batch.offset(i),
    timeMs: batch.timestamp(i),
    value: Buffer.from(batch.value(i) ?? []),
    reason: header(LATE_REASON_HEADER),
    replayOf: header(REPLAY_OF_HEADER),
  }
}

/** In batches of which one has a record of `ms` or later. */
function offsetIn(batches: readonly RecordBatch[], ms: number): number {
  for (const batch of batches)
    for (let i = 0; i < batch.count; i += 1) if (batch.timestamp(i) >= ms) return batch.offset(i)
  return batches.at(-1)!.lastOffset + 1
}

function hasKey(batch: RecordBatch, i: number, key: Buffer): boolean {
  const [at, length] = [batch.keyAt(i), batch.keyLength(i)]
  return length === key.length && batch.bytes.compare(key, 0, length, at, at + length) === 0
}
