// Enters the records of one partition's topics into its book, in the order dead letters, late, clean, raw: what the
// sink refused must be known before late and clean are read, what late has before clean (readings of the same event
// time are counted once for the store), and every output before raw, whose records then claim the outputs that came
// from them. Nothing here relies on positions ("the first N are known"): identities and bytes are compared, so that a
// foreign record is itself reported, not its neighbours.
import { CLEAN, DLQ, LATE, RAW } from '../../schemas/topics.ts'
import { type Refusal, REFINE_STAGE } from '../../platform/dead-letters/headers.ts'
import type { LetterState } from '../../platform/dead-letters/marks.ts'
import { readPlace } from '../../platform/dead-letters/letter.ts'
import { type LaneBook, type PartitionBook, UNNUMBERED } from './book.ts'
import type { Findings } from './findings.ts'
import type { Cut } from './judge.ts'
import { keyText, type RecordKind } from './records.ts'

/** The current record: one object, refilled for each. */
export interface PassingRecord {
  readonly kind: RecordKind
  readonly offset: number
  /** Arrival time at the broker, ms. */
  readonly arrivalMs: number
  /** Of a reading: its key as latin1 text, its identity, its event time. */
  readonly key: string
  readonly epoch: number
  readonly seq: number
  readonly ts: number
  /** Of its site, node and tags (platform/codec/labels.ts). */
  readonly labels: number
  /** Indexed by METRICS; NaN if absent. */
  readonly metrics: Float64Array
  /** Of the value's bytes. */
  readonly hash: number
}

/** What a dead letter's headers say, and its outcome; a number missing from the headers is -1. */
export interface LetterFacts extends Pick<Refusal, 'stage' | 'topic' | 'partition' | 'offset'> {
  readonly state: LetterState
}

const LETTER_COUNTS = { open: 'openLetters', replayed: 'replayedLetters', dropped: 'droppedLetters' } as const

export class Entries {
  readonly #book: PartitionBook
  readonly #cut: Cut
  readonly #findings: Findings

  constructor(book: PartitionBook, cut: Cut, findings: Findings) {
    this.#book = book
    this.#cut = cut
    this.#findings = findings
  }

  letter(record: PassingRecord, { state, stage, topic, partition, offset }: LetterFacts): void {
    const { counts, refusedBySink, deadOffsets, letterHashes } = this.#book
    counts[LETTER_COUNTS[state]] += 1
    if (stage === '' || topic === '' || offset < 0) {
      this.#findings.problem(
        'UNREADABLE',
        `${DLQ}/${this.#book.partition} offset ${record.offset} is not a valid dead letter: it does not name the record that was refused`,
      )
      return
    }
    if (stage !== REFINE_STAGE) {
      refusedBySink.set(`${topic}@${offset}`, record.hash)
      return
    }
    counts.deadLetters += 1
    this.#book.outputsFrom.dlq ??= record.arrivalMs
    if (topic !== RAW || partition !== this.#book.partition || offset < 0 || !deadOffsets.add(offset)) return
    letterHashes.set(offset, record.hash)
  }

  /** @param erased names of metrics whose values the reading withdraws */
  late(record: PassingRecord, reason: string | undefined, erased: readonly string[]): void {
    const book = this.#book
    const { counts } = book
    const { kind, offset, key, epoch, seq, ts } = record
    counts.late += 1
    book.outputsFrom.late ??= record.arrivalMs
    if (reason === 'correction' || reason === 'regressed' || reason === 'ahead') counts[reason] += 1
    const isStored = offset < this.#cut.stored.late
    if (!isStored) counts.towardsStore += 1
    if (!this.#isReading(LATE, kind, offset)) return
    const sensor = book.sensor(key)
    this.#output('late', sensor.lane(epoch), record, seq, ts)
    if (!isStored || ts < this.#cut.rowsSince) return
    if (this.#isRefused(LATE, record)) sensor.refuse(ts)
    else sensor.addLate(record, erased)
  }

  clean(record: PassingRecord): void {
    const book = this.#book
    const { counts, partition } = book
    const { kind, offset, key, epoch, seq, ts } = record
    counts.clean += 1
    book.outputsFrom.clean ??= record.arrivalMs
    const isStored = offset < this.#cut.stored.clean
    if (!isStored) counts.towardsStore += 1
    if (!this.#isReading(CLEAN, kind, offset)) return
    const sensor = book.sensor(key)
    if (!this.#output('clean', sensor.lane(epoch), record, seq, ts))
      this.#findings.problem(
        'TWICE',
        `${CLEAN}/${partition} offset ${offset}: ${keyText(key)} epoch ${epoch} seq ${seq} ts ${ts} is in clean twice`,
      )
    sensor.firstTs = Math.min(sensor.firstTs, ts)
    if (ts <= sensor.lastTs) {
      sensor.isAmbiguous = true
      this.#findings.problem(
        'TIME_NOT_INCREASING',
        `${CLEAN}/${partition} offset ${offset}: ts ${ts} of ${keyText(key)} follows ${sensor.lastTs}`,
      )
    } else sensor.lastTs = ts
    if (!isStored || ts < this.#cut.rowsSince) return
    if (this.#isRefused(CLEAN, record)) sensor.refuse(ts)
    else sensor.addClean(record)
  }

  /** @param replayOf place of the dead letter that the record replays */
  raw(record: PassingRecord, replayOf: string | undefined): void {
    const book = this.#book
    const { counts, deadOffsets } = book
    const { kind, offset, key, epoch, seq, ts } = record
    const isBelow = offset < this.#cut.committed
    if (isBelow) counts.rawBelow += 1
    else counts.rawAhead += 1
    const isDead = isBelow && deadOffsets.size > 0 && deadOffsets.has(offset)
    if (isDead) this.#dead(record)
    else if (kind === 'control' && isBelow) counts.controls += 1
    if (kind === 'unread') counts.unread += 1
    if (kind === 'placeless' && isBelow && !isDead) this.#unexplained(record)
    if (kind !== 'reading') return
    const lane = book.sensor(key).lane(epoch)
    if (replayOf === undefined) lane.records += 1
    else this.#replay(replayOf, offset)
    book.enter(isBelow ? 'raw' : 'ahead', lane, seq, ts)
    if (isDead) {
      book.enter('dead', lane, seq, ts)
      lane.deadHashes.set(idOf(lane, seq, ts), record.hash)
    } else this.#claim(lane, record, isBelow)
  }

  /** A raw record claims the output that came from it. */
  #claim(lane: LaneBook, { seq, ts, hash, arrivalMs }: PassingRecord, isBelow: boolean): void {
    const book = this.#book
    if (lane.epoch === UNNUMBERED && book.unnumberedOverflow) return
    const id = idOf(lane, seq, ts)
    const match = lane.hashes.claim(id, hash)
    if (!isBelow) return
    switch (match) {
      case 'first':
      case 'unknown':
        return
      case 'again':
        book.counts.duplicates += 1
        return
      case 'other':
        // The first of these readings may have had an output that was removed.
        if (arrivalMs <= this.#wholeFromMs()) lane.beforeOutputs.add(id)
        else this.#differs(lane, id)
        return
      case 'none':
        this.#unplaced(lane, id, hash, arrivalMs)
    }
  }

  #unplaced(lane: LaneBook, id: number, hash: number, arrivalMs: number): void {
    const book = this.#book
    const known = lane.deadHashes.get(id) ?? lane.unplacedHashes.get(id)
    if (known === undefined) {
      if (arrivalMs <= this.#wholeFromMs()) lane.beforeOutputs.add(id)
      else lane.unplacedHashes.set(id, hash)
    } else if (known === hash) book.counts.duplicates += 1
    else this.#differs(lane, id)
  }

  #differs(lane: LaneBook, id: number): void {
    lane.differing.add(id)
    if (lane.epoch !== UNNUMBERED) this.#book.counts.conflicts += 1
  }

  /** The sink has dead-lettered the record; its letter must have the same bytes. */
  #isRefused(topic: string, { offset, hash }: PassingRecord): boolean {
    const { refusedBySink, partition } = this.#book
    if (refusedBySink.size === 0) return false
    const letter = refusedBySink.get(`${topic}@${offset}`)
    if (letter !== undefined && letter !== hash)
      this.#findings.problem(
        'CHANGED',
        `the dead letter of ${topic}/${partition} offset ${offset} has other bytes than it`,
      )
    return letter !== undefined
  }

  /** @returns false if it was already present */
  #output(set: 'clean' | 'late', lane: LaneBook, { hash }: PassingRecord, seq: number, ts: number): boolean {
    const book = this.#book
    const isNew = book.enter(set, lane, seq, ts)
    if (lane.epoch !== UNNUMBERED || !book.unnumberedOverflow) lane.hashes.add(idOf(lane, seq, ts), hash)
    return isNew
  }

  #dead({ offset, hash }: PassingRecord): void {
    const { deadMet, letterHashes, partition } = this.#book
    deadMet.add(offset)
    if (letterHashes.get(offset) !== hash)
      this.#findings.problem(
        'CHANGED',
        `the dead letter of ${RAW}/${partition} offset ${offset} has other bytes than it`,
      )
  }

  #unexplained({ offset, arrivalMs }: PassingRecord): void {
    const { partition } = this.#book
    if (arrivalMs > this.#wholeFromMs() && !this.#cut.isHeld)
      this.#findings.problem(
        'NOT_DEAD_LETTERED',
        `${RAW}/${partition} offset ${offset} is not a valid reading and has no dead letter${this.#cut.starts.dlq > 0 ? ` any more: ${DLQ} was removed below offset ${this.#cut.starts.dlq}` : ''}`,
      )
  }

  /**
   * Arrival time, ms, up to which outputs of raw records may have been removed: an output arrives after its raw record,
   * so what a topic has lost came from records older than the first one that it keeps. Dead letters are kept longer than
   * raw (schemas/topics.ts): a raw record that is there must still have its dead letter.
   */
  #wholeFromMs(): number {
    const { outputsFrom } = this.#book
    const { starts } = this.#cut
    let from = -Infinity
    for (const topic of ['clean', 'late'] as const)
      if (starts[topic] > 0) from = Math.max(from, outputsFrom[topic] ?? Infinity)
    return from
  }

  #replay(of: string, offset: number): void {
    const { partition, replays, movedReplays } = this.#book
    const place = readPlace(of)
    if (place === null) return
    if (place.partition !== partition) movedReplays.push({ place, offset })
    else if (!replays.add(place.offset))
      this.#findings.problem('REPLAYED_TWICE', `${RAW}/${partition} offset ${offset} replays dead letter ${of} again`)
  }

  #isReading(topic: string, kind: RecordKind, offset: number): boolean {
    if (kind === 'reading') return true
    if (kind !== 'unread')
      this.#findings.problem('UNREADABLE', `${topic}/${this.#book.partition} offset ${offset} is not a valid reading`)
    return false
  }
}

/** What identifies a reading within its lane. */
export const idOf = ({ epoch }: LaneBook, seq: number, ts: number): number => (epoch === UNNUMBERED ? ts : seq)
