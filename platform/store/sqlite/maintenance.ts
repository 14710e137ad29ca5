// Upkeep of the SQLite store, in bounded steps: rolls what no write brings on (quiet sensors, a store that an earlier
// version wrote) and deletes what has outlived its retention.
//
// Before rows go, their aggregates are sealed: moved to buckets of their own (sealed = 1) that are never recomputed.
// A reading that comes for that time later is a row again, with a bucket beside the sealed one, and is sealed in turn.
// So nothing is counted twice, save a correction of a reading that is gone, which then counts beside it.
//
// First the horizon moves, in the same transaction as the first deletion: from then on no read uses what may be gone.
import type { DatabaseSync } from 'node:sqlite'
import type { Retention } from '../port.ts'
import { BEGINNING_MS, floorTo, HOUR, LEVELS, MINUTE, SECOND } from '../rollup-plan.ts'
import { type Frontier, type SqliteRollups, STEP_ROWS } from './rollups.ts'

/** Work of a step, in rows: some 20 ms. */
const STEP_WORK = 8_192
/** What it costs to look at a sensor, in rows. */
const LOOK_WORK = 32

export class SqliteMaintenance {
  readonly #rollups: SqliteRollups
  readonly #statements: ReturnType<typeof prepare>
  /** Sensors up to this one have been seen in the current pass. */
  #seen = 0

  constructor(db: DatabaseSync, rollups: SqliteRollups) {
    this.#rollups = rollups
    this.#statements = prepare(db)
  }

  /** Inside a transaction. @returns true: the pass over the sensors has not ended */
  step(nowMs: number, keep: Retention): boolean {
    this.#moveHorizons(nowMs, keep)
    for (let work = STEP_WORK; work > 0; work -= LOOK_WORK) {
      const next = this.#statements.nextSensor.get(this.#seen)
      if (next === undefined) {
        this.#seen = 0
        return false
      }
      const id = Number(next.id)
      if (next.last !== null) {
        const frontier = this.#rollups.frontier(id, Number(next.last))
        frontier.lastTs = Number(next.last)
        let steps = this.#workOn(frontier)
        for (; steps.more; steps = this.#workOn(frontier)) if ((work -= STEP_ROWS) <= 0) return true
      }
      this.#seen = id
    }
    return true
  }

  #moveHorizons(nowMs: number, keep: Retention): void {
    const { horizons } = this.#rollups
    const moved = { ...horizons }
    for (const level of ['rows', '1s', '1m', '1h'] as const) {
      const kept = keep[level]
      if (kept === null) continue
      // Never back: what was deleted does not return when a setting is changed.
      moved[level] = Math.max(horizons[level], floorTo(nowMs - kept, HOUR.sizeMs))
      if (moved[level] !== horizons[level]) this.#statements.setHorizon.run(level, moved[level])
    }
    this.#rollups.horizons = moved
  }

  /** One stretch of up to STEP_ROWS rows or buckets of a sensor. */
  #workOn(frontier: Frontier): { more: boolean } {
    if (this.#rollups.roll(frontier)) return { more: true }
    // The newest minutes stay: where a sensor is and what it measures is read from its newest reading.
    const end = Math.min(this.#rollups.horizons.rows, frontier.rolledTo, floorTo(frontier.lastTs, MINUTE.sizeMs))
    if (this.#expireRows(frontier.id, end)) return { more: true }
    for (const level of LEVELS) {
      // Buckets of rows that are there stay with them.
      const horizon = Math.min(
        this.#rollups.horizons[level.name],
        level === SECOND ? Infinity : floorTo(end, level.sizeMs),
      )
      if (horizon <= BEGINNING_MS) continue
      const { bucketAt, expire } = this.#statements.levels.get(level)!
      const cut = bucketAt.get(frontier.id, horizon, STEP_ROWS)
      expire.run(frontier.id, cut === undefined ? horizon : Number(cut.bucket))
      if (cut !== undefined) return { more: true }
    }
    return { more: false }
  }

  /** Seals and deletes up to STEP_ROWS of a sensor's rows before `end`, or a minute of them if that has more. */
  #expireRows(id: number, end: number): boolean {
    const { firstRow, expireRows, countExpired } = this.#statements
    const rollup = this.#rollups.statements
    const first = firstRow.get(id)!.ts
    if (first === null || Number(first) >= end) return false
    const from = floorTo(Number(first), MINUTE.sizeMs)
    const stop = rollup.stepEnd.get(id, from, STEP_ROWS)?.ts
    const to =
      stop === undefined ? end : Math.min(end, Math.max(from + MINUTE.sizeMs, floorTo(Number(stop), MINUTE.sizeMs)))
    const range = { id, from, to }
    rollup.sealHours.run(range)
    for (const level of [SECOND, MINUTE]) {
      rollup.seal(level).run(range)
      rollup.remove(level).run(range)
    }
    this.#rollups.rebuildHours(id, from, to)
    const { changes } = expireRows.run(id, to)
    countExpired.run(changes, id)
    return to < end
  }
}

function prepare(db: DatabaseSync) {
  return {
    levels: new Map(
      LEVELS.map((level) => [
        level,
        {
          bucketAt: db.prepare(
            `SELECT bucket FROM ${level.table} WHERE sensor_id = ? AND bucket < ? ORDER BY bucket LIMIT 1 OFFSET ?`,
          ),
          expire: db.prepare(`DELETE FROM ${level.table} WHERE sensor_id = ? AND bucket < ?`),
        },
      ]),
    ),
    nextSensor: db.prepare(
      'SELECT id, (SELECT max(ts) FROM readings WHERE sensor_id = id) AS last FROM sensors WHERE id > ? ORDER BY id LIMIT 1',
    ),
    setHorizon: db.prepare('REPLACE INTO horizons VALUES (?, ?)'),
    firstRow: db.prepare('SELECT min(ts) AS ts FROM readings WHERE sensor_id = ?'),
    expireRows: db.prepare('DELETE FROM readings WHERE sensor_id = ? AND ts < ?'),
    countExpired: db.prepare('UPDATE sensors SET expired = expired + ? WHERE id = ?'),
  }
}
