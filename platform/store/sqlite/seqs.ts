// Coverage by seq over a range of time: sums over (sensor, epoch) what is there and what first to last seq promise.
// A row counts by the number of its first reading; a reading that completed or corrected a row is there, too, wherever
// that row is. Epoch 0 numbers nothing.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Breather } from '../breather.ts'
import type { SeqCount } from '../port.ts'
import type { Piece } from '../rollup-plan.ts'
import { AT_SITE, type Site, type SiteSensor } from './site.ts'

type Row = Record<string, SQLOutputValue>
/** Reads one sensor's numbers in a range, epoch by epoch. */
type SeqReader = (range: Record<string, SQLInputValue>) => Row[]

/** @param pieces of the range */
export async function countSeqs(
  db: DatabaseSync,
  site: Site,
  pieces: readonly Piece[],
  breather: Breather,
): Promise<SeqCount> {
  const parts = new PartReader(db, site)
  const joined = db.prepare(JOINED)
  let present = 0
  let expected = 0
  for (const sensor of site.sensors) {
    await breather.pause()
    const lanes = new Map<number, { n: number; low: number; high: number }>()
    for (const piece of pieces)
      for (const row of parts.read(sensor, piece)) {
        const [epoch, n, low, high] = [row.epoch, row.n, row.low, row.high].map(Number)
        const lane = lanes.get(epoch)
        if (lane === undefined) lanes.set(epoch, { n, low, high })
        else lanes.set(epoch, { n: lane.n + n, low: Math.min(lane.low, low), high: Math.max(lane.high, high) })
      }
    for (const [epoch, { n, low, high }] of lanes) {
      if (epoch === 0) continue
      present += n + countJoined(joined, sensor.id, epoch, low, high)
      expected += high - low + 1
    }
  }
  return { present, expected }
}

/** Readings of a sensor and epoch that share the row of another, with a seq in a range: an index seek. */
export const JOINED = 'SELECT count(*) AS n FROM joined WHERE sensor_id = ? AND epoch = ? AND seq BETWEEN ? AND ?'

export const countJoined = (statement: StatementSync, id: number, epoch: number, low: number, high: number): number =>
  Number(statement.get(id, epoch, low, high)!.n)

class PartReader {
  readonly #db: DatabaseSync
  readonly #site: Site
  readonly #readers = new Map<string, SeqReader>()

  constructor(db: DatabaseSync, site: Site) {
    this.#db = db
    this.#site = site
  }

  read({ id, tail }: SiteSensor, { level, from, to }: Piece): Row[] {
    const { place, siteId } = this.#site
    if (level === null) return this.#rows({ site: place.site, id, from, to })
    const rolled = this.#rollup(level.table)({ siteId, id, from, to })
    if (tail === null || tail.from >= to || tail.to < from) return rolled
    return [...rolled, ...this.#rows({ site: place.site, id, from: Math.max(from, tail.from), to })]
  }

  #rows(range: Record<string, SQLInputValue>): Row[] {
    return this.#reader(
      'readings',
      'count(*) AS n, min(seq) AS low, max(seq) AS high',
      `FROM readings CROSS JOIN sensor_sites ss ON ss.site = :site AND ss.sensor_id = :id
       WHERE readings.sensor_id = :id AND ts >= :from AND ts < :to AND ${AT_SITE}`,
    )(range)
  }

  #rollup(table: string): SeqReader {
    return this.#reader(
      table,
      'sum(count) AS n, min(min_seq) AS low, max(max_seq) AS high',
      `FROM ${table} WHERE sensor_id = :id AND bucket >= :from AND bucket < :to AND site_id = :siteId`,
    )
  }

  #reader(table: string, ends: string, source: string): SeqReader {
    const known = this.#readers.get(table)
    if (known !== undefined) return known
    const whole = this.#db.prepare(`SELECT ${ends}, min(epoch) AS epoch, max(epoch) AS last_epoch ${source}`)
    const perEpoch = this.#db.prepare(`SELECT epoch, ${ends} ${source} GROUP BY epoch`)
    const reader: SeqReader = (range) => {
      const row = whole.get(range)!
      if (row.epoch === null) return []
      // Only a sensor that changed its epoch within the range needs its rows sorted by epoch.
      return row.epoch === row.last_epoch ? [row] : perEpoch.all(range)
    }
    this.#readers.set(table, reader)
    return reader
  }
}
