// The bytes of one lane's readings in clean and late, as one 32-bit hash each, so that raw's records are matched with
// outputs by identity and bytes: every output must come from a raw record, and a raw record is a duplicate only if the
// same bytes are in an output. Numbered readings are stored densely by seq in a typed array (4 bytes each); event times
// of a source without seq, and seqs far from the others, go into a map.

import { SeqSet } from '../../platform/seq-set.ts'

/** Shared by all lanes of a partition: how many more hashes may be kept. */
export interface HashBudget {
  left: number
}

/** Hashes of one partition: 128 MB where they are dense. */
export const HASHES_MAX = 32_000_000

/**
 * first   these bytes are in an output, which no raw record has claimed yet
 * again   these bytes are in an output, and an earlier raw record has claimed it
 * other   outputs of this identity have different bytes
 * none    no output has this identity
 * unknown the hash was not kept: the budget is used up
 */
export type Match = 'first' | 'again' | 'other' | 'none' | 'unknown'

interface Extra {
  readonly hash: number
  claimed: boolean
}

const DENSE_MIN = 8
const FREE = 0
const KEPT = 1
const CLAIMED = 2

export class OutputHashes {
  readonly #budget: HashBudget
  #unclaimed = 0
  /** Identity of the first dense slot; -1 while there is none. */
  #base = -1
  #hashes = new Uint32Array(0)
  #states = new Uint8Array(0)
  readonly #sparse = new Map<number, Extra>()
  /** Identities whose hashes were not kept. */
  readonly #unkept = new SeqSet()
  /** Additional outputs of an identity that already has one. */
  readonly #extras = new Map<number, Extra[]>()

  constructor(budget: HashBudget) {
    this.#budget = budget
  }

  get hasUnclaimed(): boolean {
    return this.#unclaimed > 0
  }

  /** @param id seq, or event time where there is none */
  add(id: number, hash: number): void {
    const at = this.#denseAt(id)
    if (at >= 0) {
      if (this.#states[at] !== FREE) return this.#addExtra(id, hash)
      this.#hashes[at] = hash
      this.#states[at] = KEPT
      this.#unclaimed += 1
      return
    }
    if (this.#sparse.has(id)) return this.#addExtra(id, hash)
    if (!this.#take(1)) return void this.#unkept.add(id)
    this.#sparse.set(id, { hash: hash >>> 0, claimed: false })
    this.#unclaimed += 1
  }

  /** A raw record claims its output. */
  claim(id: number, hash: number): Match {
    const wanted = hash >>> 0
    const first = this.#claimFirst(id, wanted)
    if (first === 'first') this.#unclaimed -= 1
    if (first === 'first' || first === 'none' || first === 'unknown') return first
    const extras = this.#extras.get(id)
    if (extras === undefined) return first
    const free = extras.find((extra) => extra.hash === wanted && !extra.claimed)
    if (free !== undefined) {
      free.claimed = true
      this.#unclaimed -= 1
      return 'first'
    }
    return first === 'again' || extras.some((extra) => extra.hash === wanted) ? 'again' : 'other'
  }

  /** Outputs of the identity that no raw record has claimed; `surplus`: a claimed one has the same bytes. */
  unclaimed(id: number): { surplus: boolean }[] {
    const all = [this.#firstOf(id), ...(this.#extras.get(id) ?? [])].filter((one) => one !== null)
    return all
      .filter(({ claimed }) => !claimed)
      .map(({ hash }) => ({ surplus: all.some((one) => one.claimed && one.hash === hash) }))
  }

  #claimFirst(id: number, wanted: number): Match {
    const at = this.#takenAt(id)
    if (at >= 0) {
      if (this.#hashes[at] !== wanted) return 'other'
      if (this.#states[at] === CLAIMED) return 'again'
      this.#states[at] = CLAIMED
      return 'first'
    }
    const sparse = this.#sparse.get(id)
    if (sparse === undefined) return this.#unkept.size > 0 && this.#unkept.has(id) ? 'unknown' : 'none'
    if (sparse.hash !== wanted) return 'other'
    if (sparse.claimed) return 'again'
    sparse.claimed = true
    return 'first'
  }

  #firstOf(id: number): Extra | null {
    const at = this.#takenAt(id)
    if (at >= 0) return { hash: this.#hashes[at], claimed: this.#states[at] === CLAIMED }
    return this.#sparse.get(id) ?? null
  }

  /** The dense slot that holds an output of the identity; -1 if none does. */
  #takenAt(id: number): number {
    const at = id - this.#base
    return this.#base >= 0 && at >= 0 && at < this.#states.length && this.#states[at] !== FREE ? at : -1
  }

  #addExtra(id: number, hash: number): void {
    if (!this.#take(1)) return void this.#unkept.add(id)
    const extras = this.#extras.get(id) ?? []
    this.#extras.set(id, extras)
    extras.push({ hash: hash >>> 0, claimed: false })
    this.#unclaimed += 1
  }

  /** The slot of an identity in the arrays, which grow to hold it; -1 if it belongs in the map. */
  #denseAt(id: number): number {
    if (this.#sparse.has(id)) return -1
    if (this.#base < 0) {
      if (!this.#take(DENSE_MIN)) return -1
      this.#base = id
      this.#hashes = new Uint32Array(DENSE_MIN)
      this.#states = new Uint8Array(DENSE_MIN)
      return 0
    }
    const at = id - this.#base
    const length = this.#states.length
    if (at < 0 || at >= 2 * length) return -1
    if (at < length) return at
    if (!this.#take(length)) return -1
    this.#hashes = grown(this.#hashes, new Uint32Array(2 * length))
    this.#states = grown(this.#states, new Uint8Array(2 * length))
    return at
  }

  #take(count: number): boolean {
    if (this.#budget.left < count) return false
    this.#budget.left -= count
    return true
  }
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from)
  return to
}
