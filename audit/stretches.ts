// Where retention has removed the beginning of clean or late, the store is still compared: the rows of each sensor from
// the first event time that clean keeps of it, since event times only grow in clean. Left out are rows that a removed
// record of late has changed; the store says so of each (its version is the offset in late). What nobody can tell any more
// is counted in a note.
import type { OffsetRange } from '../platform/kafka/port.ts'
import type { StoredReading } from '../platform/store/port.ts'
import type { Fingerprint } from '../platform/codec/fingerprint.ts'
import { CLEAN, LATE } from '../schemas/topics.ts'
import { type PartitionBook, SensorBook } from './core/book.ts'
import type { PassingRecord } from './core/entries.ts'
import type { Findings } from './core/findings.ts'
import type { Cut } from './core/judge.ts'
import type { ExpectedRows } from './core/stored.ts'
import { type Ranges, topicPartition } from './inputs.ts'
import type { PartitionScanner } from './scan.ts'
import type { AuditedStore } from './store.ts'

/** The rows of one sensor that can be compared. */
export interface Stretch {
  /** Event time, ms. */
  readonly from: number
  /** First offset that late keeps. */
  readonly lateStart: number
}

export const WHOLE: Stretch = { from: -Infinity, lateStart: 0 }

/** A record of late that has been removed has changed the row last. Versions are offsets plus one. */
export const isLeftOut = ({ lateStart }: Stretch, { version }: StoredReading): boolean =>
  version >= 1 && version <= lateStart

interface CutSensor {
  readonly partition: number
  readonly stretch: Stretch
  readonly expected: ExpectedRows
}

export class Stretches {
  readonly #sensors = new Map<string, CutSensor>()
  readonly #partitions = new Set<number>()

  /** Partitions of which the beginning of clean or late was removed. */
  get partitions(): ReadonlySet<number> {
    return this.#partitions
  }

  /** Null: not from such a partition, so all rows can be compared. */
  of(key: string): Stretch | null {
    return this.#sensors.get(key)?.stretch ?? null
  }

  collect({ partition, sensors }: PartitionBook, { starts }: Cut): void {
    this.#partitions.add(partition)
    for (const sensor of sensors.values()) {
      const from = starts.clean === 0 ? -Infinity : sensor.firstTs
      // Without a reading in clean there is no time from which on late is all there is.
      if (from === Infinity || sensor.isAmbiguous) continue
      const stretch = { from, lateStart: starts.late }
      this.#sensors.set(sensor.key, { partition, stretch, expected: sensor.expected(from) })
    }
  }

  drop(key: string): void {
    this.#sensors.delete(key)
  }

  /** Adds what the store has of these sensors, and what it must have. */
  async measure(
    store: AuditedStore,
    scanner: PartitionScanner,
    ranges: Ranges,
    into: { expected: Map<string, ExpectedRows>; stored: Map<string, Fingerprint> },
    findings: Findings,
  ): Promise<void> {
    const leftOut = new Map<string, ReadonlySet<number>>()
    for (const [key, { stretch, expected }] of this.#sensors) {
      const sum = await store.stretch(key, stretch.from, (row) => isLeftOut(stretch, row))
      if (sum === null) return
      into.expected.set(key, expected)
      into.stored.set(key, sum.fingerprint)
      if (sum.leftOut.length > 0) leftOut.set(key, new Set(sum.leftOut))
    }
    if (leftOut.size === 0) return
    let rows = 0
    for (const times of leftOut.values()) rows += times.size
    findings.note(
      `${rows} rows of the store were changed by records of late that have been removed; these rows are not compared`,
    )
    // What clean and late still have of these rows is expected; it counts as stored.
    for (const partition of this.#partitions)
      for (const [key, book] of await this.#booksOf(store, scanner, ranges, partition, leftOut))
        into.stored.get(key)!.addAll(book.expected(this.#sensors.get(key)!.stretch.from).fingerprint)
  }

  async #booksOf(
    store: AuditedStore,
    scanner: PartitionScanner,
    ranges: Ranges,
    partition: number,
    leftOut: ReadonlyMap<string, ReadonlySet<number>>,
  ): Promise<Map<string, SensorBook>> {
    const books = new Map<string, SensorBook>()
    if (![...leftOut.keys()].some((key) => this.#sensors.get(key)!.partition === partition)) return books
    const each = (
      topic: string,
      { start, end }: OffsetRange,
      visit: (book: SensorBook, record: PassingRecord) => void,
    ) =>
      scanner.eachReading(
        topic,
        partition,
        { start, end: Math.min(end, store.offsets.get(topicPartition(topic, partition)) ?? 0) },
        (record) => {
          if (leftOut.get(record.key)?.has(record.ts) !== true || record.ts < store.rowsSince) return
          const book = books.get(record.key) ?? new SensorBook(record.key)
          books.set(record.key, book)
          visit(book, record)
        },
      )
    await each(LATE, ranges.late[partition], (book, record) => book.addLate(record, scanner.erasedBy(record.kind)))
    await each(CLEAN, ranges.clean[partition], (book, record) => book.addClean(record))
    return books
  }
}
