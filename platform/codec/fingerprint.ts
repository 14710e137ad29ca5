// What a sensor's readings amount to in 64 bits: the sum, modulo 2³² in two halves, of a hash of each row's identity
// (event time, epoch, seq), of its labels (labels.ts) and of each of its cells (event time, metric, value). A sum does not depend on the order of
// rows or cells, is built without remembering any of them, and a row that was corrected can be taken out again. So what
// the log says and what a store holds are compared in full although neither side keeps the rows.
//
// Values are hashed as the doubles that they are, but for what no store has to keep: the sign of zero, and numbers nearer
// to zero than a normal double. It finds mistakes, not attacks: who can write to the store can also forge a sum.
import { finish, mix } from './mix.ts'

/** The numbers that identify a row within its sensor. */
export interface RowIdentity {
  readonly ts: number
  readonly epoch: number
  readonly seq: number
}

const NORMAL_MIN = 2.2250738585072014e-308
const LOW_SEED = 0x9747b28c
const HIGH_SEED = 0x3c6ef372
/** Mark an identity and labels, which no metric's name may be mistaken for. */
const IDENTITY = 0x51ed270b
const LABELS = 0x1b56c4e9

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

  /** @param labels of labels.ts; @param cells by metric; null and undefined: no value */
  add(row: RowIdentity, labels: number, cells: Readonly<Record<string, unknown>>, metrics: readonly string[]): void {
    this.#row(row, labels, cells, metrics, 1)
  }

  /** Takes out what was added: a row that is replaced. */
  remove(row: RowIdentity, labels: number, cells: Readonly<Record<string, unknown>>, metrics: readonly string[]): void {
    this.#row(row, labels, cells, metrics, -1)
  }

  /** Adds all rows of another one. */
  addAll(other: Fingerprint): void {
    this.#low = (this.#low + other.#low) >>> 0
    this.#high = (this.#high + other.#high) >>> 0
    this.#rows += other.#rows
  }

  equals(other: Fingerprint): boolean {
    return this.#low === other.#low && this.#high === other.#high && this.#rows === other.#rows
  }

  /** 16 hexadecimal digits. */
  toString(): string {
    return [this.#high, this.#low].map((half) => half.toString(16).padStart(8, '0')).join('')
  }

  #row(
    { ts, epoch, seq }: RowIdentity,
    labels: number,
    cells: Readonly<Record<string, unknown>>,
    metrics: readonly string[],
    sign: 1 | -1,
  ): void {
    this.#rows += sign
    this.#part(IDENTITY, ts, epoch, seq, sign)
    this.#part(LABELS, ts, labels, 0, sign)
    for (const name of metrics) {
      const value = cells[name]
      if (typeof value === 'number') this.#part(hashOfName(name), ts, value, 0, sign)
    }
  }

  #part(kind: number, a: number, b: number, c: number, sign: 1 | -1): void {
    this.#low = (this.#low + sign * hash(LOW_SEED, kind, a, b, c)) >>> 0
    this.#high = (this.#high + sign * hash(HIGH_SEED, kind, a, b, c)) >>> 0
  }
}

function hash(seed: number, kind: number, a: number, b: number, c: number): number {
  return finish(mixDouble(mixDouble(mixDouble(mix(seed, kind), a), b), c))
}

function mixDouble(h: number, value: number): number {
  double[0] = Math.abs(value) < NORMAL_MIN ? 0 : value
  return mix(mix(h, words[0]), words[1])
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
