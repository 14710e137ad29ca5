// A row of the store to which late has contributed, by the rule of platform/store/merge.ts, implemented independently:
// for each metric the latest reading that carries it wins, null carries nothing, `erase` withdraws a value, the row
// keeps the numbers of its first reading, and its labels are those of the latest. Late is in order and newer than clean, although clean is read after it.
import { METRICS } from '../../schemas/metrics.ts'
import type { StoredRow } from './stored.ts'

/** A reading as the row needs it. */
export type RowReading = Pick<StoredRow, 'ts' | 'epoch' | 'seq' | 'labels' | 'metrics'>

export class MergedRow implements StoredRow {
  readonly ts: number
  epoch: number
  seq: number
  labels: number
  readonly metrics: Float64Array
  /** Indexed by METRICS: 1 where late has set or withdrawn a value. */
  readonly #said = new Uint8Array(METRICS.length)

  /** @param first of the readings in late; @param erased names whose values it withdraws */
  constructor(first: RowReading, erased: readonly string[]) {
    this.ts = first.ts
    this.epoch = first.epoch
    this.seq = first.seq
    this.labels = first.labels
    this.metrics = new Float64Array(METRICS.length).fill(NaN)
    this.later(first, erased)
  }

  /** The next reading in late. */
  later({ labels, metrics }: RowReading, erased: readonly string[]): void {
    this.labels = labels
    for (let i = 0; i < METRICS.length; i += 1) {
      const isErased = Number.isNaN(metrics[i]) && erased.length > 0 && erased.includes(METRICS[i].name)
      if (Number.isNaN(metrics[i]) && !isErased) continue
      this.metrics[i] = metrics[i]
      this.#said[i] = 1
    }
  }

  /** The reading in clean, which is the first. */
  earlier({ epoch, seq, metrics }: RowReading): void {
    this.epoch = epoch
    this.seq = seq
    for (let i = 0; i < METRICS.length; i += 1) if (this.#said[i] === 0) this.metrics[i] = metrics[i]
  }
}
