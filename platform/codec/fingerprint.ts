// What a sensor's readings amount to in 64 bits: the sum, modulo 2³² in two halves, of a hash of each row's identity
// (event time, epoch, seq) and of each of its cells (event time, metric, value). A sum does not depend on the order of
// rows or cells, is built without remembering any of them, and a row that was corrected can be taken out again. So what
// the log says and what a store holds are compared in full although neither side keeps the rows.
//
// Values are hashed as the doubles that they are, but for what no store has to keep: the sign of zero, and numbers nearer
// to zero than a normal double. It finds mistakes, not attacks: who can write to the store can also forge a sum.

/** The numbers that identify a row within its sensor. */
export interface RowIdentity {
  readonly ts: number
  readonly epoch: number
  readonly seq: number
}

const NORMAL_MIN = 2.2250738585072014e-308
const LOW_SEED = 0x9747b28c
const HIGH_SEED = 0x3c6ef372
/** Marks an identity, which no metric's name may be mistaken for. */
const IDENTITY = 0x51ed270b

const double = new Float64Array(1)
const words = new Uint32Array(double.buffer)
const nameHashes = new Map<string, number>()

export class Fingerprint {
  #low = 0
  #high = 0
  #rows = 0

  get rows(): number {
    return this.#rows
  }

  /** @param cells by metric; null and undefined: no value */
  add(row: RowIdentity, cells: Readonly<Record<string, unknown>>, metrics: readonly string[]): void {
    this.#identity(row, 1)
    for (const name of metrics) {
      const value = cells[name]
      if (typeof value === 'number') this.#cell(row.ts, name, value, 1)
    }
  }

  /** Takes out what was added: a row that is replaced. */
  remove(row: RowIdentity, cells: Readonly<Record<string, unknown>>, metrics: readonly string[]): void {
    this.#identity(row, -1)
    for (const name of metrics) {
      const value = cells[name]
      if (typeof value === 'number') this.#cell(row.ts, name, value, -1)
    }
  }

  equals(other: Fingerprint): boolean {
    return this.#low === other.#low && this.#high === other.#high && this.#rows === other.#rows
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, '0')).join('')
  }

  #identity({ ts, epoch, seq }: RowIdentity, sign: 1 | -1): void {
    this.#rows += sign
    this.#low = (this.#low + sign * hash(LOW_SEED, IDENTITY, ts, epoch, seq)) >>> 0
    this.#high = (this.#high + sign * hash(HIGH_SEED, IDENTITY, ts, epoch, seq)) >>> 0
  }

  #cell(ts: number, name: string, value: number, sign: 1 | -1): void {
    const metric = hashOfName(name)
    this.#low = (this.#low + sign * hash(LOW_SEED, metric, ts, value, 0)) >>> 0
    this.#high = (this.#high + sign * hash(HIGH_SEED, metric, ts, value, 0)) >>> 0
  }
}

function hash(seed: number, kind: number, a: number, b: number, c: number): number {
  let h = mix(seed, kind)
  h = mixDouble(mixDouble(mixDouble(h, a), b), c)
  // MurmurHash3's finalizer (Appleby, public domain): every bit of the input moves every bit of the sum.
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

function mixDouble(h: number, value: number): number {
  double[0] = Math.abs(value) < NORMAL_MIN ? 0 : value
  return mix(mix(h, words[0]), words[1])
}

/** One round of MurmurHash3 (32 bits). */
function mix(h: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  const mixed = h ^ k
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** FNV-1a; by name, so that a metric's place in the schema does not matter. */
function hashOfName(name: string): number {
  let found = nameHashes.get(name)
  if (found === undefined) {
    found = 0x811c9dc5
    for (let i = 0; i < name.length; i += 1) found = Math.imul(found ^ name.charCodeAt(i), 0x01000193)
    nameHashes.set(name, found)
  }
  return found
}
