// Finds the rows that a store will never take: a part that is refused is halved until a single row is left. Pure: it
// says which part to try next and is told what came of it. One bad row in n costs 2·log2(n) writes at most; each part
// is smaller than the one before it on the stack, so the stack holds no more than log2(n) + 1 parts.
import { halve, type Slice, sliceRows, type Unit } from './batch.ts'

export interface PoisonRow<U extends Unit = Unit> {
  readonly unit: U
  /** Index of the row in its unit. */
  readonly row: number
  readonly reason: string
}

export class PoisonSearch<U extends Unit> {
  readonly found: PoisonRow<U>[] = []
  readonly #parts: Slice<U>[][]

  /** @param slices a batch that was refused */
  constructor(slices: readonly Slice<U>[]) {
    this.#parts = [slices.filter(({ from, to }) => to > from)]
  }

  /** What to try next; null: all rows are either in the store or found. */
  get next(): readonly Slice<U>[] | null {
    return this.#parts.at(-1) ?? null
  }

  /** The part is in the store, or no longer wanted. */
  passed(): void {
    this.#parts.pop()
  }

  refused(reason: string): void {
    const part = this.#parts.pop()!
    if (sliceRows(part) > 1) {
      const [first, second] = halve(part)
      this.#parts.push(second, first)
    } else for (const { unit, from } of part) this.found.push({ unit, row: from, reason })
  }
}
