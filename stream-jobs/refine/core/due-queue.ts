// Which sensor's wait ends first. Entries are never removed when a deadline moves: a stale one is recognised when it
// comes up. Ties break by key and epoch, so that the order of outputs depends on the input alone.
import TinyQueue from 'tinyqueue'

export interface Due {
  readonly deadline: number
  readonly key: string
  readonly epoch: number
}

function earlier(a: Due, b: Due): number {
  if (a.deadline !== b.deadline) return a.deadline - b.deadline
  if (a.key !== b.key) return a.key < b.key ? -1 : 1
  return a.epoch - b.epoch
}

export class DueQueue {
  readonly #queue = new TinyQueue<Due>([], earlier)
  /** Earliest deadline, stale ones included; Infinity when empty. Read for every record, hence a plain field. */
  next = Infinity

  /** Entries, stale ones included. */
  get size(): number {
    return this.#queue.length
  }

  add(deadline: number, key: string, epoch: number): void {
    this.#queue.push({ deadline, key, epoch })
    this.next = this.#queue.peek()!.deadline
  }

  /** The earliest entry that is due at `now`, taken out; null for none. */
  take(now: number): Due | null {
    if (this.next > now) return null
    const due = this.#queue.pop()!
    this.next = this.#queue.peek()?.deadline ?? Infinity
    return due
  }
}
