// Keeps the rollups of the SQLite store: aggregates of 1 s, 1 m and 1 h per sensor, metric, site and epoch.
//
// Every sensor has a frontier, `rolled_to`, a whole minute. What is before it is in the rollups of every level; what
// is behind it (the tail) is read from rows. So a row in order costs nothing when it is written: it is aggregated once,
// with some hundred others, when its minute is over, and a crash, a backlog or a store of an earlier version only make
// tails longer, never an answer wrong.
//
// A row that is added or replaced before the frontier (late, corrected) marks its minute; before the transaction ends
// the marked minutes are recomputed from their rows, and the hours from their minutes. So an overwritten reading
// leaves no trace, and no error of rounding adds up.
//
// Statements are made from names in schemas/reading.avsc only.
import type { DatabaseSync, SQLInputValue } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { BEGINNING_MS, floorTo, HOUR, type Horizons, type Level, MINUTE, SECOND } from '../rollup-plan.ts'
import { ALL_METRICS, prepareRollups, readHorizons } from './rollup-statements.ts'

/** Rows of a sensor that make rolling worth its statements (some 100 µs). Bounds what a query reads of a tail. */
const ROLL_ROWS = 512
/** Rows rolled at once: bounds the longest stretch of work. */
export const STEP_ROWS = 4_096
/** How far the frontier stays behind the newest reading, ms: longer than refine waits, so that few rows come late. */
const LATENESS_MS = 10_000
/** A write rolls this many times the rows it brings (at least a step): so a backlog shrinks, but no write stalls. */
const CATCH_UP = 2

/** What is known of a sensor's rollups while the process runs. */
export interface Frontier {
  readonly id: number
  rolledTo: number
  /** Rows behind the frontier, as far as they are known. */
  pending: number
  lastTs: number
  /** Greatest event time when the sensor was looked up: rows behind it were all written by this process. */
  readonly foundTs: number
  /** Metrics of the rows that this process has written, a bit each. */
  present: number
  isDue: boolean
  /** Minutes before the frontier whose rows have changed in this transaction. */
  marked: Set<number> | null
}

export class SqliteRollups {
  readonly statements: ReturnType<typeof prepareRollups>
  readonly #db: DatabaseSync
  readonly #frontiers = new Map<number, Frontier>()
  readonly #due: Frontier[] = []
  readonly #marked: Frontier[] = []
  horizons: Horizons

  constructor(db: DatabaseSync, metrics: readonly Metric[]) {
    this.#db = db
    this.statements = prepareRollups(db, metrics)
    this.horizons = readHorizons(db)
  }

  /** Drops what is remembered: the transaction failed, or another process has written. */
  forget(): void {
    this.#frontiers.clear()
    this.#due.length = 0
    this.#marked.length = 0
    this.horizons = readHorizons(this.#db)
  }

  /** @param lastTs greatest event time stored of the sensor */
  frontier(id: number, lastTs: number): Frontier {
    let frontier = this.#frontiers.get(id)
    if (frontier !== undefined) return frontier
    const rolledTo = Number(this.statements.rolledTo.get(id)!.rolled_to)
    // How many rows wait is not known: worth a look.
    frontier = { id, rolledTo, pending: ROLL_ROWS, lastTs, foundTs: lastTs, present: 0, isDue: false, marked: null }
    this.#frontiers.set(id, frontier)
    return frontier
  }

  /** Rows were added behind the sensor's newest one. */
  appended(frontier: Frontier, rows: number, lastTs: number): void {
    frontier.pending += rows
    frontier.lastTs = lastTs
    if (frontier.isDue || frontier.pending < ROLL_ROWS || complete(lastTs) <= frontier.rolledTo) return
    frontier.isDue = true
    this.#due.push(frontier)
  }

  /** A row was added or replaced among the sensor's earlier ones. */
  changed(frontier: Frontier, ts: number): void {
    if (ts >= frontier.rolledTo) return
    if (frontier.marked === null) {
      frontier.marked = new Set()
      this.#marked.push(frontier)
    }
    frontier.marked.add(floorTo(ts, MINUTE.sizeMs))
  }

  /** Brings the rollups to what the rows say, inside the transaction that wrote them. */
  settle(rowsWritten: number): void {
    for (const frontier of this.#marked) {
      this.#correct(frontier.id, frontier.marked!)
      frontier.marked = null
    }
    this.#marked.length = 0
    let budget = Math.max(STEP_ROWS, CATCH_UP * rowsWritten)
    while (budget > 0 && this.#due.length > 0) {
      const frontier = this.#due.at(-1)!
      budget -= Math.min(frontier.pending, STEP_ROWS)
      if (this.roll(frontier)) continue
      frontier.isDue = false
      this.#due.pop()
    }
  }

  /**
   * Moves the frontier over up to STEP_ROWS rows, or a minute if that has more.
   * @returns true: there is more to roll
   */
  roll(frontier: Frontier): boolean {
    const { stepEnd, firstTs, setRolledTo } = this.statements
    const goal = complete(frontier.lastTs)
    const first = firstTs.get(frontier.id, frontier.rolledTo)!.ts
    if (first === null || Number(first) >= goal) {
      frontier.pending = 0
      return false
    }
    const from = floorTo(Number(first), MINUTE.sizeMs)
    const end = stepEnd.get(frontier.id, from, STEP_ROWS)?.ts
    const to =
      end === undefined ? goal : Math.min(goal, Math.max(from + MINUTE.sizeMs, floorTo(Number(end), MINUTE.sizeMs)))
    const present = frontier.rolledTo > frontier.foundTs ? frontier.present : ALL_METRICS
    this.#rebuildMinutes(frontier.id, from, to, present)
    this.rebuildHours(frontier.id, from, to)
    frontier.rolledTo = to
    frontier.pending = to < goal ? STEP_ROWS : 0
    setRolledTo.run(to, frontier.id)
    return to < goal
  }

  /** Recomputes the hours that [from, to) meets from their minutes. */
  rebuildHours(id: number, from: number, to: number): void {
    const end = Math.ceil(to / HOUR.sizeMs) * HOUR.sizeMs
    this.#replace(HOUR, MINUTE, id, floorTo(from, HOUR.sizeMs), end, ALL_METRICS)
  }

  /** Recomputes the minutes of [from, to), and their seconds, from rows. */
  #rebuildMinutes(id: number, from: number, to: number, present: number): void {
    // Where seconds are not kept any more, minutes come from rows.
    const seconds = Math.min(to, Math.max(from, this.horizons['1s']))
    if (from < seconds) this.#replace(MINUTE, null, id, from, seconds, present)
    if (seconds >= to) return
    this.#replace(SECOND, null, id, seconds, to, present)
    this.#replace(MINUTE, SECOND, id, seconds, to, present)
  }

  /** Minutes next to each other are one range, and an hour with several of them is computed once. */
  #correct(id: number, minutes: ReadonlySet<number>): void {
    const sorted = [...minutes].sort((a, b) => a - b)
    const size = MINUTE.sizeMs
    const hours = new Set<number>()
    for (let i = 0; i < sorted.length;) {
      const from = sorted[i]
      let to = from + size
      for (i += 1; i < sorted.length && sorted[i] === to; i += 1) to += size
      for (const minute of this.#rebuildWithNext(id, from, to)) hours.add(floorTo(minute, HOUR.sizeMs))
      for (let hour = floorTo(from, HOUR.sizeMs); hour < to; hour += HOUR.sizeMs) hours.add(hour)
    }
    for (const hour of hours) this.rebuildHours(id, hour, hour + HOUR.sizeMs)
  }

  /**
   * The first value after a change is the end of a step from what was changed, so its minute is computed as well.
   * @returns that minute, if there is one
   */
  #rebuildWithNext(id: number, from: number, to: number): number[] {
    const { hasSteps, nextMinute } = this.statements
    const hadSteps = hasSteps?.get({ id, from, to }) !== undefined
    this.#rebuildMinutes(id, from, to, ALL_METRICS)
    if (!hadSteps && hasSteps?.get({ id, from, to }) === undefined) return []
    const next = nextMinute?.get({ id, from: to })?.bucket
    if (next === undefined) return []
    this.#rebuildMinutes(id, Number(next), Number(next) + MINUTE.sizeMs, ALL_METRICS)
    return [Number(next)]
  }

  /** @param source null: rows */
  #replace(level: Level, source: Level | null, id: number, from: number, to: number, present: number): void {
    const { statements } = this
    const range: Record<string, SQLInputValue> = { id, from, to }
    statements.remove(level).run(range)
    statements.fill(level, source, present).run(range)
  }
}

/** Minutes before this are over. */
const complete = (lastTs: number): number =>
  lastTs === -Infinity ? BEGINNING_MS : floorTo(lastTs - LATENESS_MS, MINUTE.sizeMs)
