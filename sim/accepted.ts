// What the producers of a run have accepted, recorded independently of them: the ground truth for the checks.
// A reading is identified by its record key, epoch and seq, or, where it has no seq, by its event time.
import type { Chunk } from '../platform/wal/chunk.ts'
import { entryKind, keyAt, keyLength, MARK, soundEntryEnd } from '../platform/wal/format.ts'
import { readingIn } from './registry.ts'

export interface Identity {
  readonly key: string
  readonly epoch: number
  readonly seq: number
  readonly ts: number
}

export const identityOf = ({ key, epoch, seq, ts }: Identity): string =>
  epoch === 0 ? `${key} ts ${ts}` : `${key} ${epoch}:${seq}`

export class Accepted {
  /** Must come out at the other end. */
  readonly owed = new Set<string>()
  /** Accepted and then lost with the machine, as the fsync policy allows: they may come out. */
  readonly forgiven = new Set<string>()
  #bySource = new Map<string, string[]>()

  add(identity: string): void {
    this.owed.add(identity)
  }

  /** The readings of entries that a log has written. */
  addChunk(log: string, { bytes, at }: Chunk): void {
    let list = this.#bySource.get(log)
    if (list === undefined) this.#bySource.set(log, (list = []))
    for (let place = at; place < bytes.length; place = soundEntryEnd(bytes, place)) {
      if (entryKind(bytes, place) === MARK) continue
      const keyStart = keyAt(bytes, place)
      const keyEnd = keyStart + keyLength(bytes, place)
      const { epoch, seq, ts } = readingIn(bytes.subarray(keyEnd, soundEntryEnd(bytes, place)))
      const identity = identityOf({ key: bytes.toString('utf8', keyStart, keyEnd), epoch, seq, ts })
      list.push(identity)
      this.owed.add(identity)
    }
  }

  /** How many readings a log has accepted; the index to forgive from. */
  countOf(log: string): number {
    return this.#bySource.get(log)?.length ?? 0
  }

  /**
   * What the log accepted from `index` on was taken from it, by a power cut or by an older copy.
   * @param isSent whether it had reached the broker: then it is owed all the same
   */
  forgive(log: string, index: number, isSent: (identity: string) => boolean = () => false): void {
    for (const identity of (this.#bySource.get(log) ?? []).slice(index)) {
      if (isSent(identity)) continue
      this.owed.delete(identity)
      this.forgiven.add(identity)
    }
  }
}
