// Finds the rows that a store will never take. If the store names them, they are taken out and the others tried
// again together; otherwise the refused part is halved until a single row is left. Pure: it says which part
// to try next and is told what came of it. Halving costs 2·log2(n) writes at most for one bad row in n; each part is smaller than
// the one before it on the stack, so the stack holds no more than log2(n) + 1 parts.
import type { RefusedRow } from '../../platform/store/store-errors.ts'
import { halve, type Slice, sliceRows, type DecodedBatch } from './write-batch.ts'

export interface PoisonRow<U extends DecodedBatch = DecodedBatch> {
  readonly decoded: U
  /** Index of the row in its batch. */
  readonly row: number
  readonly reason: string
}

export class PoisonSearch<U extends DecodedBatch> {
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

  /**
   * @param tried the slices of the part that were tried; the rest is no longer wanted
   * @param named by index in the batch composed of `tried`; empty: not known
   */
  refused(tried: readonly Slice<U>[], reason: string, named: readonly RefusedRow[]): void {
    this.#parts.pop()
    const { bad, good } = takeOut(tried, named)
    if (bad.length > 0) {
      this.found.push(...bad)
      if (good.length > 0) this.#parts.push(good)
    } else if (sliceRows(tried) > 1) {
      const [first, second] = halve(tried)
      this.#parts.push(second, first)
    } else for (const { decoded, from } of tried) this.found.push({ decoded, row: from, reason })
  }
}

/** The rows of a batch are those of its slices in order, readings and anomalies separately; see composeRows. */
function takeOut<U extends DecodedBatch>(
  slices: readonly Slice<U>[],
  named: readonly RefusedRow[],
): { bad: PoisonRow<U>[]; good: Slice<U>[] } {
  const reasons = { reading: new Map<number, string>(), anomaly: new Map<number, string>() }
  for (const { kind, index, reason } of named) reasons[kind].set(index, reason)
  const next = { reading: 0, anomaly: 0 }
  const bad: PoisonRow<U>[] = []
  const good: Slice<U>[] = []
  for (const { decoded, from, to } of slices) {
    const kind = decoded.readings.length > 0 ? 'reading' : 'anomaly'
    let start = from
    for (let row = from; row < to; row += 1) {
      const reason = reasons[kind].get(next[kind])
      next[kind] += 1
      if (reason === undefined) continue
      bad.push({ decoded, row, reason })
      if (row > start) good.push({ decoded, from: start, to: row })
      start = row + 1
    }
    if (to > start) good.push({ decoded, from: start, to })
  }
  return { bad, good }
}
