// Coverage by seq over a range of time: sums over (sensor, epoch) what is there and what first to last seq promise.
// A row counts by the number of its first reading; a reading that completed or corrected a row is there, too, wherever
// that row is. Epoch 0 numbers nothing.
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from 'node:sqlite'
import type { Breather } from '../breather.ts'
import type { SeqCount } from '../port.ts'
import type { Piece } from '../rollup-plan.ts'
import { AT_SITE, SENSORS, type Site, tailsMeet } from './site.ts'

type Row = Record<string, SQLOutputValue>
/** Numbers of one (sensor, epoch). */
interface Lane {
  n: number
  low: number
  high: number
}

/** Sensors read by one statement: some 10 ms where each has a few hundred buckets. */
const SENSORS_AT_ONCE = 500

/** @param pieces of the range */
export async function countSeqs(
  db: DatabaseSync,
  site: Site,
  pieces: readonly Piece[],
  breather: Breather,
): Promise<SeqCount> {
  const parts = new PartReader(db, site)
  const joined = new JoinedReader(db)
  const ids = site.sensors.map(({ id }) => id).sort((a, b) => a - b)
  let present = 0
  let expected = 0
  for (let first = 0; first < ids.length; first += SENSORS_AT_ONCE) {
    const [low, high] = [ids[first], ids[Math.min(first + SENSORS_AT_ONCE, ids.length) - 1]]
    const lanes = new Map<number, Map<number, Lane>>()
    for (const piece of pieces) {
      await breather.pause()
      parts.readInto(lanes, piece, low, high)
    }
    joined.look(low, high)
    for (const [id, epochs] of lanes)
      for (const [epoch, lane] of epochs) {
        if (epoch === 0) continue
        present += lane.n + joined.within(id, epoch, lane)
        expected += lane.high - lane.low + 1
      }
  }
  return { present, expected }
}

/** Readings of a sensor and epoch that share the row of another, with a seq in a range: an index seek. */
export const JOINED = 'SELECT count(*) AS n FROM joined WHERE sensor_id = ? AND epoch = ? AND seq BETWEEN ? AND ?'

export const countJoined = (statement: StatementSync, id: number, epoch: number, low: number, high: number): number =>
  Number(statement.get(id, epoch, low, high)!.n)

/** Most sensors have nothing that joined the row of another: they are not asked for one by one. */
class JoinedReader {
  readonly #count: StatementSync
  readonly #sensors: StatementSync
  #found: ReadonlySet<number> = new Set()

  constructor(db: DatabaseSync) {
    this.#count = db.prepare(JOINED)
    this.#sensors = db.prepare(
      `SELECT ss.sensor_id AS id FROM sensor_sites ss WHERE ss.sensor_id BETWEEN ? AND ?
       AND EXISTS (SELECT 1 FROM joined j WHERE j.sensor_id = ss.sensor_id)`,
    )
  }

  look(low: number, high: number): void {
    this.#found = new Set(this.#sensors.all(low, high).map(({ id }) => Number(id)))
  }

  within(id: number, epoch: number, { low, high }: Lane): number {
    return this.#found.has(id) ? countJoined(this.#count, id, epoch, low, high) : 0
  }
}

/** Reads numbers of a range of sensors; only sensors that changed their epoch within a piece need their rows sorted by it. */
interface Reader {
  readonly whole: StatementSync
  readonly perEpoch: StatementSync
}

class PartReader {
  readonly #db: DatabaseSync
  readonly #site: Site
  readonly #readers = new Map<string, Reader>()

  constructor(db: DatabaseSync, site: Site) {
    this.#db = db
    this.#site = site
  }

  /** Sensors with ids from `low` to `high`. */
  readInto(lanes: Map<number, Map<number, Lane>>, { level, from, to }: Piece, low: number, high: number): void {
    if (level === null) return this.#add(lanes, this.#rows(false), { from, to, low, high })
    this.#add(lanes, this.#rollup(level.table), { from, to, low, high, siteId: this.#site.siteId })
    if (tailsMeet(this.#site, from, to)) this.#add(lanes, this.#rows(true), { from, to, low, high })
  }

  #add(lanes: Map<number, Map<number, Lane>>, reader: Reader, range: Record<string, SQLInputValue>): void {
    const given = { ...this.#site.place, ...range }
    for (const row of reader.whole.all(given)) {
      const isOne = row.epoch === row.last_epoch
      const rows = isOne ? [row] : reader.perEpoch.all({ ...given, low: row.id, high: row.id })
      for (const one of rows) addLane(lanes, one)
    }
  }

  /** @param tail only those that no rollup has */
  #rows(tail: boolean): Reader {
    return this.#reader(
      tail ? 'tail' : 'readings',
      'count(*) AS n, min(r.seq) AS low, max(r.seq) AS high',
      `CROSS JOIN readings r ON r.sensor_id = ss.sensor_id AND r.ts >= ${tail ? 'max(:from, s.rolled_to)' : ':from'} AND r.ts < :to`,
      AT_SITE,
    )
  }

  #rollup(table: string): Reader {
    return this.#reader(
      table,
      'sum(r.count) AS n, min(r.min_seq) AS low, max(r.max_seq) AS high',
      `CROSS JOIN ${table} r ON r.sensor_id = ss.sensor_id AND r.bucket >= :from AND r.bucket < :to`,
      'r.site_id = :siteId',
    )
  }

  /** Grouped in the order of the outer loop, so that nothing is sorted. */
  #reader(name: string, ends: string, join: string, condition: string): Reader {
    const known = this.#readers.get(name)
    if (known !== undefined) return known
    const rows = `${SENSORS} ${join}
      WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant) AND ss.sensor_id BETWEEN :low AND :high AND ${condition}`
    const reader = {
      whole: this.#db.prepare(
        `SELECT ss.sensor_id AS id, ${ends}, min(r.epoch) AS epoch, max(r.epoch) AS last_epoch ${rows} GROUP BY ss.sensor_id`,
      ),
      perEpoch: this.#db.prepare(`SELECT ss.sensor_id AS id, r.epoch AS epoch, ${ends} ${rows} GROUP BY r.epoch`),
    }
    this.#readers.set(name, reader)
    return reader
  }
}

function addLane(lanes: Map<number, Map<number, Lane>>, row: Row): void {
  const [id, epoch, n, low, high] = [row.id, row.epoch, row.n, row.low, row.high].map(Number)
  let epochs = lanes.get(id)
  if (epochs === undefined) lanes.set(id, (epochs = new Map()))
  const lane = epochs.get(epoch)
  if (lane === undefined) epochs.set(epoch, { n, low, high })
  else {
    lane.n += n
    lane.low = Math.min(lane.low, low)
    lane.high = Math.max(lane.high, high)
  }
}
