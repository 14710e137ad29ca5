// The write-ahead log of one producer. A reading is *accepted* when its bytes are written to the system (a killed
// process loses nothing) and, with fsyncMs = 0, forced to disk (a power cut loses nothing); otherwise they are forced
// every fsyncMs. Writes are synchronous: one call of some ten microseconds per batch, and no state between "asked" and
// "written". Segments that are acknowledged as a whole are deleted; at maxBytes new batches are refused. Numbers that were sent must not be given to other readings, so a log that may be behind what was sent (a power cut, a
// restore, damage) continues in a new epoch; witness.ts says how that is known.
import { closeSync, fdatasync, fdatasyncSync, fsync, ftruncateSync, mkdirSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { EntryBatch } from './entry-batch.ts'
import { encodeMark, segmentName, WalError } from './format.ts'
import { type Lane, Lanes } from './lanes.ts'
import { listSegments, loadSegment } from './reader.ts'
import type { Chunk } from './chunk.ts'
import { AckFile, readAck } from './ack.ts'
import { acquireLock, bootId, type WalLock } from './lock.ts'
import type { WalOptions } from './options.ts'
import { readChunk, type WalCursor } from './cursor.ts'
import { appendOrRestore, createSegment, inspectSegment, type Segment } from './segment.ts'
import { doubtOf, wasSettled, Witness } from './witness.ts'

/** Share of the bound that one segment may take: the others can be deleted while it fills. */
const MAX_SEGMENT_SHARE = 1 / 4
/** Share of the bound that the lanes in a segment's header may take. */
const MAX_LANES_SHARE = 1 / 16
/** A batch of this size is written in well under a millisecond. */
const BATCH_BYTES = 262_144
/** Header of a segment without its lanes, at most. */
const BARE_HEADER_BYTES = 512

export class Wal {
  readonly dir: string
  readonly nodeId: string
  /** Bytes of an unfinished write that were cut off when the log was opened. */
  readonly cutBytes: number
  /** Why it continues in a new epoch since it was opened; null when it does not. */
  readonly renewed: string | null
  readonly #options: WalOptions
  readonly #lock: WalLock
  readonly #lanes: Lanes
  readonly #segments: Segment[]
  readonly #ack: AckFile
  readonly #witness: Witness
  #fd: number
  #epoch: number
  #appended: number
  #durable: number
  #lastTs: number
  #bytes: number
  /** Mark to put in front of the next batch: bytes of the active segment that have been forced to disk. */
  #unmarkedSync = 0
  #dirty = false
  #syncing: Promise<void> | null = null

  /**
   * Opens or creates the log in `dir`.
   * @throws WalError WAL_LOCKED, WAL_HEADER, WAL_VERSION, WAL_CORRUPT
   */
  constructor(options: WalOptions) {
    this.#options = options
    this.dir = options.dir
    this.nodeId = options.nodeId
    const boot = options.boot ?? bootId()
    mkdirSync(options.dir, { recursive: true, mode: 0o700 })
    this.#lock = acquireLock(options.dir, boot)
    try {
      const bases = listSegments(options.dir)
      const maxLaneBytes = options.maxBytes * MAX_LANES_SHARE
      const last = bases.length === 0 ? null : loadSegment(options.dir, bases[bases.length - 1], maxLaneBytes)
      if (last?.scan.tail === 'corrupt')
        throw new WalError(
          'WAL_CORRUPT',
          `${last.file}: bytes at ${last.scan.end} had been forced to disk and are damaged; move ${options.dir} aside to continue without what follows`,
        )
      this.#epoch = last?.header.epoch ?? options.claimEpoch()
      this.#lanes = last?.lanes ?? new Lanes(this.#epoch, maxLaneBytes)
      this.#appended = last === null ? 0 : last.header.baseIndex + last.scan.count
      this.#durable = this.#appended
      this.#lastTs = last?.lastTs ?? 0
      this.#segments = bases.slice(0, -1).map((base) => inspectSegment(options.dir, base))
      const found = { dir: options.dir, boot, last, first: bases[0] ?? 0, acknowledged: readAck(options.dir) }
      this.renewed = doubtOf(found)
      this.cutBytes = last === null ? 0 : last.bytes.length - last.scan.end
      if (last === null) {
        const created = createSegment(options.dir, { ...this.#header(), nodeId: options.nodeId })
        this.#segments.push(created.segment)
        this.#fd = created.fd
      } else {
        this.#fd = openSync(last.file, 'r+')
        if (this.cutBytes > 0) ftruncateSync(this.#fd, last.scan.end)
        this.#segments.push({ baseIndex: last.header.baseIndex, headerBytes: last.header.end, bytes: last.scan.end })
      }
      this.#bytes = this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
      this.#ack = new AckFile(options.dir, this.#segments[0].baseIndex, this.#appended)
      const isNew = last === null || this.renewed !== null
      this.#witness = new Witness(options.dir, boot, isNew || wasSettled(options.dir))
      if (isNew && last !== null) this.#renewEpoch()
      this.#witness.begin(this.#fd, this.#active())
    } catch (error) {
      this.#lock.release()
      throw error
    }
  }

  get epoch(): number {
    return this.#epoch
  }

  /** Index after the last reading written. */
  get appended(): number {
    return this.#appended
  }

  /** Index after the last reading that is accepted: what may be confirmed to a caller and sent. */
  get accepted(): number {
    return this.#options.fsyncMs === 0 ? this.#durable : this.#appended
  }

  get acknowledged(): number {
    return this.#ack.index
  }

  /** Bytes on disk. */
  get bytes(): number {
    return this.#bytes
  }

  /** Writers of many readings make batches of about this size: small against the bound, long enough for a write. */
  get batchBytes(): number {
    return Math.min(BATCH_BYTES, this.#options.maxBytes / 8)
  }

  /** Share of the bound that is taken, 0 to 1. */
  get fill(): number {
    return this.#bytes / this.#options.maxBytes
  }

  /** Greatest event time of a reading that this log numbered, ms; 0 where there is none. */
  get lastTs(): number {
    return this.#lastTs
  }

  /** The lane that numbers a sensor's readings. @throws WalError WAL_SENSORS */
  lane(key: string): Lane {
    return this.#lanes.own(key)
  }

  /** The lane of a sensor whose source numbers its readings (epoch 0: has no numbers). @throws WalError WAL_SENSORS */
  foreignLane(key: string, epoch: number): Lane {
    return this.#lanes.foreign(key, epoch)
  }

  /** Is there room for `bytes` of entries? */
  hasRoom(bytes: number): boolean {
    const header = this.#mustRoll(bytes) ? this.#lanes.bytes + BARE_HEADER_BYTES : 0
    return this.#bytes + bytes + 2 * MARK_BYTES + header <= this.#options.maxBytes
  }

  /**
   * Writes a batch in one call and commits its numbers; the batch is empty afterwards, however it went.
   * @returns the entries as written, or null when the log is full
   * @throws WalError WAL_DISK, WAL_BROKEN
   */
  append(batch: EntryBatch): Chunk | null {
    if (!this.hasRoom(batch.byteLength)) {
      batch.rollback()
      return null
    }
    try {
      this.#witness.beginUse(this.#fd, this.#active())
      if (this.#mustRoll(batch.byteLength)) this.#roll()
      const mark = this.#unmarkedSync > 0 ? encodeMark(this.#unmarkedSync) : NO_BYTES
      const bytes = Buffer.concat([mark, batch.bytes])
      const active = this.#active()
      const end = active.bytes + bytes.length
      const attest = (): void => this.#witness.attest(this.#fd, { baseIndex: active.baseIndex, bytes: end })
      appendOrRestore(this.#fd, bytes, active.bytes, this.dir, attest)
      active.bytes = end
      this.#bytes += bytes.length
      this.#unmarkedSync = 0
      this.#dirty = true
      this.#lastTs = Math.max(this.#lastTs, batch.lastTs)
      const chunk = { bytes, at: mark.length, firstIndex: this.#appended, count: batch.count }
      this.#appended += batch.count
      batch.commit()
      return chunk
    } catch (error) {
      batch.rollback()
      throw error
    }
  }

  /** Forces to disk what is written. Calls made meanwhile share the next round. */
  async sync(): Promise<void> {
    while (this.#syncing !== null) await this.#syncing
    if (!this.#dirty) return
    this.#syncing = this.#forceActive()
    try {
      await this.#syncing
    } finally {
      this.#syncing = null
    }
  }

  /** Everything below `index` has reached the broker. Deletes segments that are no longer needed. */
  acknowledge(index: number): void {
    if (index <= this.#ack.index) return
    if (index > this.#appended)
      throw new RangeError(`index ${index} is acknowledged, but only ${this.#appended} are written`)
    this.#ack.write(index)
    while (this.#segments.length > 1 && this.#segments[1].baseIndex <= index) {
      const [gone] = this.#segments.splice(0, 1)
      unlinkSync(join(this.dir, segmentName(gone.baseIndex)))
      this.#bytes -= gone.bytes
    }
  }

  /**
   * Entries from `cursor` on, checked; moves the cursor past them.
   * @param cursor of `cursorAt`
   * @returns null at the end of the log
   * @throws WalError WAL_CORRUPT
   */
  read(cursor: WalCursor): Chunk | null {
    for (;;) {
      const place = this.#segments.findIndex(({ baseIndex }) => baseIndex === cursor.segment)
      const segment = this.#segments[place]
      // The cursor had come to the end of a segment that was acknowledged and deleted since.
      if (segment === undefined) {
        Object.assign(cursor, this.cursorAt(cursor.index))
        continue
      }
      if (cursor.offset < segment.bytes) return readChunk(this.dir, segment, cursor)
      const next = this.#segments[place + 1]
      if (next === undefined) return null
      if (next.baseIndex !== cursor.index)
        throw new WalError(
          'WAL_CORRUPT',
          `${this.dir}: readings ${cursor.index} to ${next.baseIndex - 1} are missing from the log`,
        )
      cursor.segment = next.baseIndex
      cursor.offset = next.headerBytes
    }
  }

  /** A cursor at the reading with this index, which must not be acknowledged yet. */
  cursorAt(index: number): WalCursor {
    const segment = this.#segments.findLast(({ baseIndex }) => baseIndex <= index)
    if (segment === undefined) throw new RangeError(`reading ${index} is no longer in ${this.dir}`)
    return { segment: segment.baseIndex, offset: segment.headerBytes, index: segment.baseIndex }
  }

  /** Forces everything to disk, so that the epoch outlives a restart of the machine, and lets go of the log. */
  async close(): Promise<void> {
    const force = promisify(this.#options.force ?? fsync)
    try {
      await this.sync()
      await force(this.#ack.fd)
      await this.#witness.settle(this.#fd, this.#active(), force)
    } finally {
      closeSync(this.#fd)
      this.#ack.close()
      this.#witness.close()
      this.#lock.release()
    }
  }

  #mustRoll(bytes: number): boolean {
    const { segmentBytes, maxBytes } = this.#options
    // Lanes are written once per segment: a segment four times as long keeps them below a fifth of what is written.
    const limit = Math.min(Math.max(segmentBytes, 4 * this.#lanes.bytes), maxBytes * MAX_SEGMENT_SHARE)
    const active = this.#active()
    return active.bytes > active.headerBytes && active.bytes + bytes > limit
  }

  #header() {
    return {
      nodeId: this.nodeId,
      epoch: this.#epoch,
      baseIndex: this.#appended,
      lastTs: this.#lastTs,
      lanes: this.#lanes.records(),
    }
  }

  /** Closes the active segment, forced to disk, and begins the next. */
  #roll(): void {
    fdatasyncSync(this.#fd)
    this.#durable = this.#appended
    this.#closeWithMark()
    const former = this.#fd
    const created = createSegment(this.dir, this.#header())
    // A sync under way in the background still uses the file.
    if (this.#syncing === null) closeSync(former)
    else void this.#syncing.finally(() => closeSync(former))
    this.#fd = created.fd
    this.#segments.push(created.segment)
    this.#bytes += created.segment.bytes
    this.#unmarkedSync = 0
    this.#dirty = false
    this.#witness.attest(this.#fd, this.#active())
  }

  /** A closed segment ends with a mark that no witness attests, so that it never passes for the last one. */
  #closeWithMark(): void {
    const active = this.#active()
    const mark = encodeMark(active.bytes)
    appendOrRestore(this.#fd, mark, active.bytes, this.dir)
    active.bytes += mark.length
    this.#bytes += mark.length
  }

  #active = (): Segment => this.#segments[this.#segments.length - 1]

  #renewEpoch(): void {
    const epoch = this.#options.claimEpoch()
    this.#lanes.renew(epoch)
    this.#epoch = epoch
    const active = this.#active()
    if (active.baseIndex < this.#appended) return this.#roll()
    // No reading in the active segment: its header alone is replaced.
    closeSync(this.#fd)
    const created = createSegment(this.dir, this.#header())
    this.#fd = created.fd
    this.#bytes += created.segment.bytes - active.bytes
    this.#segments[this.#segments.length - 1] = created.segment
  }

  #forceActive(): Promise<void> {
    const active = this.#active()
    const { bytes } = active
    const index = this.#appended
    this.#dirty = false
    return new Promise((resolve, reject) => {
      const force = this.#options.force ?? fdatasync
      force(this.#fd, (cause) => {
        if (cause !== null) {
          this.#dirty = true
          reject(new WalError('WAL_DISK', `${this.dir}: the disk refused to sync`, { cause, retriable: true }))
          return
        }
        this.#durable = Math.max(this.#durable, index)
        if (this.#segments[this.#segments.length - 1] === active) this.#unmarkedSync = bytes
        resolve()
      })
    })
  }
}

const NO_BYTES = Buffer.alloc(0)
const MARK_BYTES = encodeMark(0).length
