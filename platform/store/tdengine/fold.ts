// What a batch does to the rows of one sensor, pure: the readings of one event time are gathered, so that they are merged
// (merge.ts) among each other and with what is stored, and no statement names an event time twice. TDengine itself keeps
// whatever arrives last, and within one statement a repeated row's NULL does not overwrite.
import { erasedBy, type Mark, merge, type MergedRow, rowOf } from '../merge.ts'
import type { ReadingRows } from '../port.ts'

/** Readings of one event time, by their index in the batch. */
export interface Place {
  readonly index: number
  /** Those that follow it in the batch. */
  others: number[] | null
}

/** A row as the store has it. */
export interface StoredRow {
  readonly row: MergedRow
  /** Readings that have joined the first one. */
  readonly superseded: number
  /** Of the latest reading. */
  readonly arrival: number
  readonly site: string
  readonly node: string
  readonly tagsJson: string
}

/** A row to be written, and the readings that have joined it. */
export interface FoldedRow extends StoredRow {
  readonly joined: readonly Mark[]
}

/** The places of one sensor's rows, in order of their first appearance. */
export class SensorRows {
  readonly places: Place[] = []
  /** Greatest event time so far: nearly all rows come after it, and cost no look-up. */
  #maxTs = -Infinity
  #byTs: Map<number, Place> | null = null

  add(rows: ReadingRows, index: number): void {
    const { ts } = rows.readings[index]
    const isNew = ts > this.#maxTs
    if (!isNew) this.#byTs ??= new Map(this.places.map((place) => [rows.readings[place.index].ts, place]))
    const met = isNew ? undefined : this.#byTs!.get(ts)
    if (met !== undefined) {
      ;(met.others ??= []).push(index)
      return
    }
    const place = { index, others: null }
    this.places.push(place)
    this.#byTs?.set(ts, place)
    if (isNew) this.#maxTs = ts
  }
}

/** True where the reading is the whole row, as nearly all are: nothing is to be merged. */
export const isAlone = ({ readings }: ReadingRows, { index, others }: Place): boolean =>
  others === null && erasedBy(readings[index]).length === 0

/** The place's readings merged with the stored row. A replayed batch meets its own readings and counts none again. */
export function foldPlace(
  rows: ReadingRows,
  { index, others }: Place,
  stored: StoredRow | undefined,
  metrics: readonly string[],
): FoldedRow {
  const joined: Mark[] = []
  let folded = stored ?? partsOf(rows, index, rowOf(rows.readings[index], rows.versions[index], metrics), 0)
  const rest = others ?? []
  for (const at of stored === undefined ? rest : [index, ...rest]) {
    const step = merge(folded.row, rows.readings[at], rows.versions[at], metrics)
    const superseded = folded.superseded + (step.joined === null ? 0 : 1)
    folded = step.isLatest ? partsOf(rows, at, step.row, superseded) : { ...folded, row: step.row, superseded }
    if (step.joined !== null) joined.push(step.joined)
  }
  return { ...folded, joined }
}

function partsOf({ readings, arrivals }: ReadingRows, index: number, row: MergedRow, superseded: number): StoredRow {
  const { site_id: site, node_id: node, tags } = readings[index]
  return { row, superseded, arrival: arrivals[index], site, node, tagsJson: JSON.stringify(tags) }
}
