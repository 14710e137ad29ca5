// The books of one partition: per sensor and epoch which seqs stand in raw, clean, late and the dead letters, as sets of
// ranges; and counts of everything else. Readings without seq (epoch 0) are told apart by event time, which fills a range
// each: they are bounded, and beyond the bound only counted.
import { Marks } from '../../platform/dead-letters/marks.ts'
import { SeqSet } from '../../platform/seq-set.ts'

/** Identities of readings without seq that one partition's books hold; about 100 bytes each over all sets. */
export const UNNUMBERED_MAX = 2_000_000
const UNNUMBERED = 0

export class LaneBook {
  readonly epoch: number
  /** Below refine's committed offset. */
  readonly raw = new SeqSet()
  /** At or behind it: not worked on yet. */
  readonly ahead = new SeqSet()
  readonly clean = new SeqSet()
  readonly late = new SeqSet()
  readonly dead = new SeqSet()
  /** Records in raw, repeats included. */
  records = 0

  constructor(epoch: number) {
    this.epoch = epoch
  }
}

export class SensorBook {
  readonly key: string
  /** Greatest event time in clean so far, ms. */
  lastTs = -Infinity
  /** Event times in late up to the sink's offset. */
  readonly lateTs = new Set<number>()
  /** Distinct event times of clean and late up to the sink's offsets, without what the sink refused: what the store must hold. */
  stored = 0
  /** Event times below the sink's offsets that the sink has dead-lettered. */
  readonly #refusedTs = new Set<number>()
  readonly lanes: LaneBook[] = []

  constructor(key: string) {
    this.key = key
  }

  refuse(ts: number): void {
    this.#refusedTs.add(ts)
  }

  /** Readings that the sink has dead-lettered and that have not come again by late. */
  get refused(): number {
    let refused = 0
    for (const ts of this.#refusedTs) if (!this.lateTs.has(ts)) refused += 1
    return refused
  }

  /** The lane of an epoch; readings come in runs of one epoch, so the latest stands first. */
  lane(epoch: number): LaneBook {
    const { lanes } = this
    if (lanes.length > 0 && lanes[0].epoch === epoch) return lanes[0]
    const at = lanes.findIndex((lane) => lane.epoch === epoch)
    const lane = at < 0 ? new LaneBook(epoch) : lanes.splice(at, 1)[0]
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
  corrections: number
  regressed: number
  deadLetters: number
  unknownControls: number
  /** Dead letters of every stage by what became of them. */
  openLetters: number
  replayedLetters: number
  droppedLetters: number
  /** In clean or late, behind the sink's offsets. */
  towardsStore: number
  /** In clean, late or the dead letters, beyond what the ledger knows. */
  beyond: number
}

export class PartitionBook {
  readonly partition: number
  readonly sensors = new Map<string, SensorBook>()
  readonly counts: Counts = {
    rawBelow: 0,
    rawAhead: 0,
    controls: 0,
    clean: 0,
    late: 0,
    corrections: 0,
    regressed: 0,
    deadLetters: 0,
    unknownControls: 0,
    openLetters: 0,
    replayedLetters: 0,
    droppedLetters: 0,
    towardsStore: 0,
    beyond: 0,
  }
  /** Places (topic@offset) in clean and late whose records the sink has dead-lettered. */
  readonly refusedBySink = new Set<string>()
  /** What became of the partition's dead letters. */
  readonly marks = new Marks()
  /** Offsets of the dead letters whose replays are in raw. */
  readonly replays = new SeqSet()
  /** Identities of readings without seq are no longer held: there are too many. */
  unnumberedOverflow = false
  #unnumbered = 0

  constructor(partition: number) {
    this.partition = partition
  }

  sensor(key: string): SensorBook {
    let sensor = this.sensors.get(key)
    if (sensor === undefined) {
      sensor = new SensorBook(key)
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
