// The lanes of a log: for every sensor and epoch how many readings were accepted and the last seq. A batch first
// *stages* numbers; only when its bytes are written do they count, so a refused batch leaves no gap.
import {
  FOREIGN,
  foreignEpoch,
  foreignSeq,
  keyAt,
  keyLength,
  entryKind,
  laneBytes,
  type LaneRecord,
  WalError,
} from './format.ts'

/** A million sensors of a log take about 100 MB; a log that names more is refused, not allowed to fill the memory. */
const MAX_LANES = 1_000_000

export class Lane implements LaneRecord {
  readonly key: string
  readonly keyBytes: Buffer
  readonly epoch: number
  readonly own: boolean
  count = 0
  lastSeq = -1
  /** Next seq to hand out while a batch is being made; equal to lastSeq + 1 between batches. */
  stagedSeq = 0

  constructor(key: string, epoch: number, own: boolean) {
    this.key = key
    this.keyBytes = Buffer.from(key)
    this.epoch = epoch
    this.own = own
  }
}

export class Lanes {
  readonly #own = new Map<string, Lane>()
  /** Numbered by their sources, or by this log in an earlier epoch. */
  readonly #others = new Map<string, Lane>()
  readonly #maxBytes: number
  #epoch: number
  #bytes = 0

  /** @param maxBytes bound of what all lanes take in a segment's header */
  constructor(epoch: number, maxBytes: number) {
    this.#epoch = epoch
    this.#maxBytes = maxBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  *records(): Iterable<LaneRecord> {
    for (const lane of this.#own.values()) if (lane.count > 0) yield lane
    for (const lane of this.#others.values()) if (lane.count > 0) yield lane
  }

  /**
   * The lane of a sensor that this log numbers.
   * @throws WalError WAL_SENSORS
   */
  own(key: string): Lane {
    return this.#own.get(key) ?? this.#add(this.#own, key, new Lane(key, this.#epoch, true))
  }

  /** The lane of a reading that brought its own epoch and seq. */
  foreign(key: string, epoch: number): Lane {
    const id = `${epoch} ${key}`
    return this.#others.get(id) ?? this.#add(this.#others, id, new Lane(key, epoch, false))
  }

  restore(records: Iterable<LaneRecord>): void {
    for (const { key, epoch, own, count, lastSeq } of records) {
      const current = own && epoch === this.#epoch
      const lane = new Lane(key, epoch, own)
      lane.count = count
      lane.lastSeq = lastSeq
      lane.stagedSeq = lastSeq + 1
      this.#add(current ? this.#own : this.#others, current ? key : `${epoch} ${key}`, lane)
    }
  }

  /** Counts a reading that was found in a segment. */
  replay(bytes: Buffer, at: number): void {
    const place = keyAt(bytes, at)
    const key = bytes.toString('utf8', place, place + keyLength(bytes, at))
    const isForeign = entryKind(bytes, at) === FOREIGN
    const lane = isForeign ? this.foreign(key, foreignEpoch(bytes, at)) : this.own(key)
    lane.count += 1
    lane.lastSeq = isForeign ? Math.max(lane.lastSeq, foreignSeq(bytes, at)) : lane.lastSeq + 1
    lane.stagedSeq = lane.lastSeq + 1
  }

  /** Sensors begin again at seq 0 under a new epoch; what was counted stays on record. */
  renew(epoch: number): void {
    const former = this.#epoch
    this.#epoch = epoch
    for (const [key, lane] of this.#own) this.#others.set(`${former} ${key}`, lane)
    this.#own.clear()
  }

  #add(lanes: Map<string, Lane>, id: string, lane: Lane): Lane {
    this.#bytes += laneBytes(lane.key)
    if (this.#bytes > this.#maxBytes || this.#own.size + this.#others.size >= MAX_LANES) {
      this.#bytes -= laneBytes(lane.key)
      throw new WalError(
        'WAL_SENSORS',
        `the log numbers ${this.#own.size + this.#others.size} sensors already and has no room for ${lane.key}; raise WAL_MAX_BYTES`,
      )
    }
    lanes.set(id, lane)
    return lane
  }
}
