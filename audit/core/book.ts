// The books of one partition: per sensor and epoch which seqs are in raw, clean, late and the dead letters, as sets of
// ranges, with the hashes of the outputs' bytes; and counts of everything else. Readings without seq (epoch 0) are
// distinguished by event time and take one range each, so their number is capped; beyond the cap they are only counted.
//
// Memory: about 300 bytes per sensor and epoch, 5 to 10 bytes per numbered reading of one partition (HASHES_MAX of them at
// most), about 200 bytes per reading without seq (UNNUMBERED_MAX at most).
import type { Place } from '../../platform/dead-letters/letter.ts'
import { Marks } from '../../platform/dead-letters/marks.ts'
import { Fingerprint } from '../../platform/codec/fingerprint.ts'
import { SeqSet } from '../../platform/seq-set.ts'
import { addRow, type ExpectedRows, type StoredRow } from './stored.ts'
import { MergedRow } from './merged-row.ts'
import { HASHES_MAX, type HashBudget, OutputHashes } from './output-hashes.ts'

/** Identities of readings without seq that one partition's books hold. */
export const UNNUMBERED_MAX = 2_000_000
export const UNNUMBERED = 0

export class LaneBook {
  readonly epoch: number
  /** Below refine's committed offset. */
  readonly raw = new SeqSet()
  /** At or after it: refine has not read them yet. */
  readonly ahead = new SeqSet()
  readonly clean = new SeqSet()
  readonly late = new SeqSet()
  readonly dead = new SeqSet()
  /** In raw, and older than what the output topics fully retain: their outputs may have been removed. */
  readonly beforeOutputs = new SeqSet()
  /** In raw below the committed offset, with bytes that are in no output, although one has the identity. */
  readonly differing = new SeqSet()
  readonly hashes: OutputHashes
  /** Of dead-lettered raw records. */
  readonly deadHashes = new Map<number, number>()
  /** Of raw records whose identity has no output. */
  readonly unplacedHashes = new Map<number, number>()
  /** Records in raw, repeats included. */
  records = 0

  constructor(epoch: number, budget: HashBudget) {
    this.epoch = epoch
    this.hashes = new OutputHashes(budget)
  }
}

export class SensorBook {
  readonly key: string
  /** Greatest event time in clean so far, ms. */
  lastTs = -Infinity
  /** Least event time in clean, ms; event times only grow there, so everything that was removed is older. */
  firstTs = Infinity
  /** Clean has an event time of it again, or out of order: what the store makes of it depends on more than clean. */
  isAmbiguous = false
  /** The rows of the store to which late contributes, by event time. */
  readonly lateRows = new Map<number, MergedRow>()
  /** Of the rows to which clean alone contributes. */
  readonly #stored = new Fingerprint()
  /** Event times of readings below the sink's offsets that the sink dead-lettered. */
  readonly #refusedTs = new Set<number>()
  readonly lanes: LaneBook[] = []
  readonly #budget: HashBudget

  constructor(key: string, budget: HashBudget = { left: HASHES_MAX }) {
    this.key = key
    this.#budget = budget
  }

  refuse(ts: number): void {
    this.#refusedTs.add(ts)
  }

  /** @param erased names of metrics whose values the reading withdraws */
  addLate(row: StoredRow, erased: readonly string[]): void {
    const known = this.lateRows.get(row.ts)
    if (known === undefined) this.lateRows.set(row.ts, new MergedRow(row, erased))
    else known.later(row, erased)
  }

  addClean(row: StoredRow): void {
    const late = this.lateRows.size > 0 ? this.lateRows.get(row.ts) : undefined
    if (late !== undefined) {
      late.earlier(row)
      return
    }
    addRow(this.#stored, row)
  }

  /**
   * What the store must hold; call once, after the partition has been read.
   * @param from only rows of this event time and later: the beginning of clean was removed
   */
  expected(from = -Infinity): ExpectedRows {
    let refused = 0
    for (const ts of this.#refusedTs) if (ts >= from && !this.lateRows.has(ts)) refused += 1
    for (const row of this.lateRows.values()) if (row.ts >= from) addRow(this.#stored, row)
    return { fingerprint: this.#stored, refused }
  }

  /** The lane of an epoch; readings come in runs of one epoch, so the latest is kept first. */
  lane(epoch: number): LaneBook {
    const { lanes } = this
    if (lanes.length > 0 && lanes[0].epoch === epoch) return lanes[0]
    const at = lanes.findIndex((lane) => lane.epoch === epoch)
    const lane = at < 0 ? new LaneBook(epoch, this.#budget) : lanes.splice(at, 1)[0]
    lanes.unshift(lane)
    return lane
  }
}

export interface Counts {
  rawBelow: number
  rawAhead: number
  controls: number
  clean: number
  late: number
  /** Of late, by their header. */
  correction: number
  regressed: number
  ahead: number
  /** Null: they could not be read. */
  anomalies: number | null
  deadLetters: number
  /** Raw records below the committed offset whose bytes an earlier one has brought to an output. */
  duplicates: number
  /** Records that reuse an earlier record's number with different bytes. */
  conflicts: number
  /** Dead letters of every stage by outcome. */
  openLetters: number
  replayedLetters: number
  droppedLetters: number
  /** In clean or late, at or after the sink's offsets. */
  towardsStore: number
  /** Raw records that could not be inspected. */
  unread: number
}

const NO_COUNTS: Counts = {
  rawBelow: 0,
  rawAhead: 0,
  controls: 0,
  clean: 0,
  late: 0,
  correction: 0,
  regressed: 0,
  ahead: 0,
  anomalies: 0,
  deadLetters: 0,
  duplicates: 0,
  conflicts: 0,
  openLetters: 0,
  replayedLetters: 0,
  droppedLetters: 0,
  towardsStore: 0,
  unread: 0,
}

export class PartitionBook {
  readonly partition: number
  readonly sensors = new Map<string, SensorBook>()
  readonly counts: Counts = { ...NO_COUNTS }
  /** Places (topic@offset) whose records the sink has dead-lettered, with the hashes of the letters' bytes. */
  readonly refusedBySink = new Map<string, number>()
  /** Outcomes of the partition's dead letters. */
  readonly marks = new Marks()
  /** Offsets of the dead letters whose replays are in raw. */
  readonly replays = new SeqSet()
  /** Replays in raw of dead letters of other partitions, with their offsets in raw. */
  readonly movedReplays: { readonly place: Place; readonly offset: number }[] = []
  /** Raw offsets that refine has dead-lettered, and which of them were seen in raw. */
  readonly deadOffsets = new SeqSet()
  readonly deadMet = new SeqSet()
  /** Hashes of the dead letters' bytes by raw offset. */
  readonly letterHashes = new Map<number, number>()
  /** Arrival time of the first record that each output topic still retains, ms. */
  readonly outputsFrom: Partial<Record<'clean' | 'late' | 'dlq', number>> = {}
  /** A topic could not be read to its end: checks that need all of it are skipped. */
  isComplete = true
  /** Identities of readings without seq are no longer tracked: there are too many. */
  unnumberedOverflow = false
  #unnumbered = 0
  readonly budget: HashBudget = { left: HASHES_MAX }

  constructor(partition: number) {
    this.partition = partition
  }

  sensor(key: string): SensorBook {
    let sensor = this.sensors.get(key)
    if (sensor === undefined) {
      sensor = new SensorBook(key, this.budget)
      this.sensors.set(key, sensor)
    }
    return sensor
  }

  /**
   * Enters a reading into one of its lane's sets.
   * @returns false when it was there already
   */
  enter(set: 'raw' | 'ahead' | 'clean' | 'late' | 'dead', lane: LaneBook, seq: number, ts: number): boolean {
    if (lane.epoch !== UNNUMBERED) return lane[set].add(seq)
    if (this.#unnumbered >= UNNUMBERED_MAX) {
      this.unnumberedOverflow = true
      return true
    }
    const isNew = lane[set].add(ts)
    if (isNew) this.#unnumbered += 1
    return isNew
  }
}
