// Growth of a cumulative metric over a window, as port.ts defines it: per sensor the last value less the one before
// the window, summed. A few seeks per sensor, however many rows the window has.
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Metric } from '../../../schemas/metrics.ts'
import { type Horizons, type Piece, planBack } from '../rollup-plan.ts'
import { metricColumn, rollupColumn } from './migrations.ts'
import { AT_SITE, SENSORS, type Site } from './site.ts'

type End = 'first' | 'last'

export class GrowthReader {
  readonly #db: DatabaseSync
  readonly #name: string
  readonly #site: Site
  /** By the levels of the pieces: windows have few shapes. */
  readonly #statements = new Map<string, StatementSync>()

  constructor(db: DatabaseSync, { name }: Metric, site: Site) {
    this.#db = db
    this.#name = name
    this.#site = site
  }

  /** @param pieces of the window, in order of time */
  read(pieces: readonly Piece[], horizons: Horizons): number {
    const before = planBack(pieces[0].from, horizons)
    const { place, siteId } = this.#site
    const values: Record<string, string | number | null> = { ...place, siteId }
    pieces.forEach(({ from, to }, i) => Object.assign(values, { [`in${i}_from`]: from, [`in${i}_to`]: to }))
    before.forEach(({ from, to }, i) => Object.assign(values, { [`be${i}_from`]: from, [`be${i}_to`]: to }))
    return Number(this.#statement(pieces, before).get(values)!.increase)
  }

  #statement(pieces: readonly Piece[], before: readonly Piece[]): StatementSync {
    const shape = [...pieces, null, ...before].map((piece) => piece && (piece.level?.name ?? 'rows')).join()
    let statement = this.#statements.get(shape)
    if (statement === undefined) this.#statements.set(shape, (statement = this.#prepare(pieces, before)))
    return statement
  }

  #prepare(pieces: readonly Piece[], before: readonly Piece[]): StatementSync {
    const inside = (end: End): string[] => {
      const found = pieces.map((piece, i) => this.#valueOf(piece, `in${i}`, end, true))
      return (end === 'first' ? found : found.reverse()).flat()
    }
    const earlier = before.flatMap((piece, i) => this.#valueOf(piece, `be${i}`, 'last', false))
    const statement = this.#db.prepare(`WITH
      sensor AS MATERIALIZED (SELECT s.id, s.rolled_to, ss.only_site ${SENSORS}
        WHERE ss.site = :site AND (:tenant IS NULL OR s.tenant = :tenant)),
      ended AS MATERIALIZED (SELECT *, ${oneOf(inside('last'))} AS last FROM sensor)
      SELECT total(max(0, last - ${oneOf([...earlier, ...inside('first')])})) AS increase FROM ended WHERE last IS NOT NULL`)
    // A shape without rows does not ask where a row was taken, nor one without rollups for the site's number.
    statement.setAllowUnknownNamedParameters(true)
    return statement
  }

  /** The sensor's first or last value of a piece, as expressions to be tried in order. */
  #valueOf({ level }: Piece, name: string, end: End, atSite: boolean): string[] {
    const order = end === 'first' ? 'ASC' : 'DESC'
    const column = metricColumn(this.#name)
    const ofRows = (begin: string): string =>
      `(SELECT ${column} FROM readings WHERE sensor_id = id AND ts >= ${begin} AND ts < :${name}_to
        ${atSite ? `AND ${AT_SITE}` : ''} AND ${column} IS NOT NULL ORDER BY ts ${order} LIMIT 1)`
    if (level === null) return [ofRows(`:${name}_from`)]
    const time = rollupColumn(this.#name, `${end}_ts`)
    const rolled = `(SELECT ${rollupColumn(this.#name, end)} FROM ${level.table}
      WHERE sensor_id = id AND bucket >= :${name}_from AND bucket < :${name}_to
      ${atSite ? 'AND site_id = :siteId' : ''} AND ${time} IS NOT NULL ORDER BY bucket ${order}, ${time} ${order} LIMIT 1)`
    // Most sensors' tails lie behind the piece: they are not looked for.
    const tail = `CASE WHEN rolled_to < :${name}_to THEN ${ofRows(`max(:${name}_from, rolled_to)`)} END`
    return end === 'first' ? [rolled, tail] : [tail, rolled]
  }
}

/** coalesce() wants two. */
const oneOf = (expressions: readonly string[]): string => `coalesce(${[...expressions, 'NULL'].join(', ')})`
