// Collects, partition by partition, what the store must hold, and compares it with what it does hold. Every sensor is
// compared: as a whole where clean and late are whole, else from the time on that they keep (stretches.ts); one whose
// readings are in several partitions by the sum of them. Only what clean itself leaves open is left out, and named.
import type { Fingerprint } from '../platform/codec/fingerprint.ts'
import type { PartitionBook } from './core/book.ts'
import type { Findings } from './core/findings.ts'
import type { Cut } from './core/judge.ts'
import { homeOf, keyText } from './core/records.ts'
import { type ExpectedRows, judgeStore, type StoreTotals } from './core/stored.ts'
import { nameStored } from './deep.ts'
import type { Ranges } from './inputs.ts'
import type { PartitionScanner } from './scan.ts'
import type { AuditedStore } from './store.ts'
import { Stretches, WHOLE } from './stretches.ts'
import { Strays } from './strays.ts'

export interface ComparisonContext {
  readonly store: AuditedStore
  readonly scanner: PartitionScanner
  readonly ranges: Ranges
  /** Everything in clean and late could be read. */
  readonly isComplete: boolean
  readonly deep: boolean
}

/** Sensors that one note names. */
const NAMED_MAX = 5

export class StoreComparison {
  readonly strays: Strays
  readonly #partitions: number
  readonly #expected = new Map<string, ExpectedRows>()
  readonly #stretches = new Stretches()
  /** Sensors of which clean has the same event time, or the same number, more than once: reported as such. */
  readonly #ambiguous = new Set<string>()

  constructor(partitions: number) {
    this.#partitions = partitions
    this.strays = new Strays(partitions)
  }

  collect(book: PartitionBook, cut: Cut): void {
    this.strays.collect(book)
    for (const sensor of book.sensors.values()) if (sensor.isAmbiguous) this.#ambiguous.add(sensor.key)
    if (cut.starts.clean + cut.starts.late > 0) return this.#stretches.collect(book, cut)
    for (const sensor of book.sensors.values()) {
      const { fingerprint, refused } = sensor.expected()
      const known = this.#expected.get(sensor.key)
      known?.fingerprint.addAll(fingerprint)
      const sum = known === undefined ? { fingerprint, refused } : { ...known, refused: known.refused + refused }
      this.#expected.set(sensor.key, sum)
    }
  }

  async judge(context: ComparisonContext, findings: Findings): Promise<StoreTotals | null> {
    const { store, scanner, ranges, isComplete, deep } = context
    const all = await store.fingerprints()
    if (all === null) return null
    const stored = new Map<string, Fingerprint>()
    const left: string[] = []
    const isDoubtful = (key: string): boolean =>
      this.#ambiguous.has(key) || (this.strays.keys.has(key) && this.#stretches.partitions.size > 0)
    for (const [key, fingerprint] of all) {
      if (isDoubtful(key)) left.push(key)
      else if (!this.#stretches.partitions.has(homeOf(key, this.#partitions)) || this.#expected.has(key))
        stored.set(key, fingerprint)
    }
    for (const key of [...this.#expected.keys()]) if (isDoubtful(key)) this.#expected.delete(key)
    for (const key of left) this.#stretches.drop(key)
    if (left.length > 0)
      findings.note(
        `${left.length} sensors are not compared with the store, since clean contradicts itself: ${left.slice(0, NAMED_MAX).map(keyText).join(', ')}`,
      )
    await this.#stretches.measure(store, scanner, ranges, { expected: this.#expected, stored }, findings)
    const isStill = (await store.isStill()) && isComplete
    const { totals, suspects } = judgeStore({ expected: this.#expected, stored, isStill }, findings)
    for (const key of left) all.delete(key)
    this.#noteOlder(all, stored, totals, findings)
    const named = suspects.filter((key) => !this.strays.keys.has(key))
    if (deep)
      await nameStored(
        { store, scanner, ranges, stretchOf: (key) => this.#stretches.of(key) ?? WHOLE },
        named,
        findings,
      )
    return totals
  }

  /** Rows from before the time that clean and late keep. */
  #noteOlder(
    all: ReadonlyMap<string, Fingerprint>,
    stored: ReadonlyMap<string, Fingerprint>,
    totals: { rows: number },
    findings: Findings,
  ): void {
    if (this.#stretches.partitions.size === 0) return
    let older = 0
    for (const [key, { rows }] of all) older += rows - (stored.get(key)?.rows ?? 0)
    findings.note(
      `the beginning of clean or late was removed in ${this.#stretches.partitions.size} partitions: ${Math.max(0, older)} rows of the store are older, or of sensors that clean no longer has, and are not compared`,
    )
    totals.rows += Math.max(0, older)
  }
}
