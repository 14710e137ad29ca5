// The rows of one batch by sub-table, in the order in which they are written: places and joined numbers, readings, then
// anomalies. A row that no statement can say is refused by itself.
import type { Anomaly, ReadingRows } from '../port.ts'
import type { Refusals } from '../store-errors.ts'
import { foldPlace, isAlone, type Place, type StoredRow } from './fold.ts'
import { overlapKey } from './overlaps.ts'
import { anomalyTable, foldedRow, joinedTable, placeTable, readingRow, readingTable } from './rows.ts'
import type { TableRows } from './sql.ts'

const NONE: readonly number[] = []

interface Sensor {
  readonly table: string
  readonly tenant: string
  readonly sensor: string
  /** Where it is known to have been. */
  readonly site: string | null
}

export class Tables {
  readonly #database: string
  readonly #metrics: readonly string[]
  readonly #places: TableRows[] = []
  readonly #readings: TableRows[] = []
  readonly #anomalies: TableRows[] = []

  constructor(database: string, metrics: readonly string[]) {
    this.#database = database
    this.#metrics = metrics
  }

  get all(): TableRows[] {
    return [...this.#places, ...this.#readings, ...this.#anomalies]
  }

  /** @param stored rows that the sensor's may meet, by overlapKey */
  addSensor(
    { table, tenant, sensor, site }: Sensor,
    places: readonly Place[],
    batch: ReadingRows,
    stored: ReadonlyMap<string, StoredRow>,
    refusals: Refusals,
  ): void {
    let known = site
    const rows: string[] = []
    for (const place of places) {
      const { index } = place
      const { ts } = batch.readings[index]
      const met = stored.get(overlapKey(table, ts))
      try {
        known = this.#addPlace(tenant, sensor, batch, index, known)
        for (const at of place.others ?? NONE) known = this.#addPlace(tenant, sensor, batch, at, known)
        rows.push(
          met === undefined && isAlone(batch, place)
            ? readingRow(batch, index, this.#metrics)
            : this.#fold(tenant, sensor, batch, place, met),
        )
      } catch (error) {
        this.#refuse(batch, place, refusals, error)
      }
    }
    if (rows.length > 0)
      this.#readings.push(readingTable({ database: this.#database, table, tenant, sensor }, this.#metrics, rows))
  }

  addAnomaly(anomaly: Anomaly): void {
    this.#anomalies.push(anomalyTable(this.#database, anomaly))
  }

  /** Of several readings only those are refused that could not be stored alone; if each could, the latest. */
  #refuse(batch: ReadingRows, { index, others }: Place, refusals: Refusals, error: unknown): void {
    if (others === null) return refusals.add('reading', index, error)
    let found = false
    for (const at of [index, ...others])
      try {
        readingRow(batch, at, this.#metrics)
      } catch (own) {
        refusals.add('reading', at, own)
        found = true
      }
    if (!found) refusals.add('reading', others[others.length - 1], error)
  }

  /** @returns where the sensor is known to have been */
  #addPlace(tenant: string, sensor: string, { readings }: ReadingRows, index: number, known: string | null): string {
    const site = readings[index].site_id
    if (site !== known) this.#places.push(placeTable(this.#database, tenant, sensor, site))
    return site
  }

  #fold(tenant: string, sensor: string, batch: ReadingRows, place: Place, met: StoredRow | undefined): string {
    const folded = foldPlace(batch, place, met, this.#metrics)
    for (const mark of folded.joined) {
      const { first } = folded.row
      const joined =
        mark.epoch === first.epoch && mark.seq === first.seq ? null : joinedTable(this.#database, tenant, sensor, mark)
      if (joined !== null) this.#places.push(joined)
    }
    return foldedRow(batch.readings[place.index].ts, folded, this.#metrics)
  }
}
