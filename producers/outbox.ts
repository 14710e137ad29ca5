// What one producer has accepted and not yet delivered: its log, its ring and the place up to which it was sent. It
// fills record batches from the ring, or from the log when the ring has overflowed, and moves the acknowledged place
// when a send ends well. At least once: after a failure it begins again at the first reading not acknowledged.
import type { EntryBatch } from '../platform/wal/entry-batch.ts'
import { entryKind, MARK, soundEntryEnd } from '../platform/wal/format.ts'
import type { Batcher } from './batcher.ts'
import type { Chunk } from '../platform/wal/chunk.ts'
import type { Disorder } from './nodes/core/disorder.ts'
import { Ring } from './core/ring.ts'
import type { Wal } from '../platform/wal/wal.ts'
import type { WalCursor } from '../platform/wal/cursor.ts'

export interface OutboxOptions {
  readonly wal: Wal
  /** Readings. */
  readonly ringCapacity: number
  /** Disorder put in on the way, for simulated nodes. */
  readonly disorder?: Disorder
}

/** Readings of 1 MB are allowed: the ring is bounded in bytes as well. */
const RING_MAX_BYTES = 64 * 1024 * 1024
/** A reading that is held back goes out at the latest when nothing was accepted for so long: the log may be full. */
const HELD_IDLE_MS = 1_000

/** A reading that waits for later ones to overtake it. */
interface Held {
  readonly index: number
  readonly dueAt: number
  readonly bytes: Buffer
  readonly at: number
  /** The first copy went out already, so nothing waits for this one. */
  readonly copy: boolean
}

export class Outbox {
  readonly wal: Wal
  readonly #ring: Ring
  readonly #disorder: Disorder | undefined
  /** Index of the next reading to put into a batch, and where it is. */
  #next: number
  #chunk: Chunk | null = null
  #at = 0
  #cursor: WalCursor | null = null
  #held: Held[] = []
  /** Least `dueAt` of those held. */
  #heldDueAt = Infinity
  #duplicates = 0
  #acceptedAtMs = 0

  constructor({ wal, ringCapacity, disorder }: OutboxOptions) {
    this.wal = wal
    this.#disorder = disorder
    this.#next = wal.acknowledged
    this.#ring = new Ring(ringCapacity, RING_MAX_BYTES, wal.acknowledged)
  }

  /** Fill of the ring, 0 to 1. */
  get ringFill(): number {
    return this.#ring.fill
  }

  /** Are there readings that only the log holds? */
  get behindRing(): boolean {
    return this.#ring.end < this.wal.appended
  }

  /** Readings written and not acknowledged. */
  get depth(): number {
    return this.wal.appended - this.wal.acknowledged
  }

  /** Readings that were sent twice on purpose since this was last asked. */
  takeDuplicates(): number {
    const duplicates = this.#duplicates
    this.#duplicates = 0
    return duplicates
  }

  /**
   * Writes a batch to the log and keeps it for sending.
   * @returns false when the log is full; nothing of the batch was taken
   * @throws WalError
   */
  accept(batch: EntryBatch, nowMs: number): boolean {
    if (batch.count === 0) return true
    const chunk = this.wal.append(batch)
    if (chunk === null) return false
    this.#acceptedAtMs = nowMs
    // The ring is empty and the sender has come to the end of the log: from here on memory serves again.
    if (this.#ring.start === this.#ring.end && this.#next === chunk.firstIndex) this.#ring.restart(chunk.firstIndex)
    this.#ring.push(chunk)
    return true
  }

  /**
   * Puts what is to be sent into the batches, as far as they have room.
   * @param flush let nothing be held back
   */
  fill(batcher: Batcher, nowMs: number, flush = false): void {
    const end = this.wal.accepted
    const idle = flush || (this.#next >= end && nowMs - this.#acceptedAtMs >= HELD_IDLE_MS)
    while (this.#next < end) {
      if (!this.#releaseHeld(batcher, this.#next)) return
      if (!this.#locate()) return
      if (!this.#send(batcher, flush)) return
    }
    if (idle) this.#releaseHeld(batcher, Infinity)
  }

  /** The send that carried the filled batches ended well. Returns how many readings are newly acknowledged. */
  delivered(): number {
    const former = this.wal.acknowledged
    const acknowledged = this.#held.reduce(
      (least, { index, copy }) => (copy ? least : Math.min(least, index)),
      this.#next,
    )
    this.wal.acknowledge(acknowledged)
    this.#ring.release(acknowledged)
    return acknowledged - former
  }

  /** The send failed, or part of it: begin again at the first reading that is not acknowledged. */
  rewind(): void {
    this.#next = this.wal.acknowledged
    this.#chunk = null
    this.#cursor = null
    this.#held = []
    this.#heldDueAt = Infinity
  }

  #send(batcher: Batcher, flush: boolean): boolean {
    const { bytes } = this.#chunk as Chunk
    const fate = flush || this.#disorder === undefined ? 'now' : this.#disorder.fate(this.#next)
    if (fate !== 'held' && !batcher.add(bytes, this.#at)) return false
    if (fate !== 'now') this.#hold(bytes, this.#at, fate === 'twice')
    this.#at = soundEntryEnd(bytes, this.#at)
    this.#next += 1
    return true
  }

  #hold(bytes: Buffer, at: number, copy: boolean): void {
    const dueAt = (this.#disorder as Disorder).dueAt(this.#next)
    this.#held.push({ index: this.#next, dueAt, bytes, at, copy })
    this.#heldDueAt = Math.min(this.#heldDueAt, dueAt)
  }

  /** Sends held readings that are due in front of `index`; false when a batch is full. */
  #releaseHeld(batcher: Batcher, index: number): boolean {
    if (index < this.#heldDueAt || this.#held.length === 0) return true
    const waiting: Held[] = []
    let room = true
    for (const held of this.#held) {
      if (room && held.dueAt <= index) room = batcher.add(held.bytes, held.at)
      if (!room || held.dueAt > index) waiting.push(held)
      else if (held.copy) this.#duplicates += 1
    }
    this.#held = waiting
    this.#heldDueAt = waiting.reduce((least, { dueAt }) => Math.min(least, dueAt), Infinity)
    return room
  }

  /** Brings chunk and place to the next reading; false when the log has nothing more. */
  #locate(): boolean {
    for (;;) {
      const chunk = this.#chunk
      if (chunk !== null && this.#next < chunk.firstIndex + chunk.count) {
        this.#at = skipMarks(chunk.bytes, this.#at)
        return true
      }
      const inRing = this.#ring.chunkAt(this.#next)
      if (inRing !== undefined) this.#cursor = null
      const found = inRing ?? this.#readOn()
      if (found === null) return false
      this.#chunk = found
      this.#at = placeOf(found, this.#next)
    }
  }

  #readOn(): Chunk | null {
    if (this.#cursor === null || this.#cursor.index > this.#next) this.#cursor = this.wal.cursorAt(this.#next)
    return this.wal.read(this.#cursor)
  }
}

function skipMarks(bytes: Buffer, at: number): number {
  while (at < bytes.length && entryKind(bytes, at) === MARK) at = soundEntryEnd(bytes, at)
  return at
}

/** Where the reading `index` begins, or the chunk's end when it comes after it. */
function placeOf(chunk: Chunk, index: number): number {
  if (index >= chunk.firstIndex + chunk.count) return chunk.bytes.length
  let at = skipMarks(chunk.bytes, chunk.at)
  for (let i = chunk.firstIndex; i < index; i += 1) at = skipMarks(chunk.bytes, soundEntryEnd(chunk.bytes, at))
  return at
}
