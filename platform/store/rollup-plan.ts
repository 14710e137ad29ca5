// Which aggregates a range of time is answered from. Rows are kept beside aggregates of 1 s, 1 m and 1 h (rollups);
// each level reaches back to its horizon, before which it may have been deleted. Pure: SQLite's reads follow the plan.
//
// A range is cut into the coarsest buckets that are wholly in it, its edges into finer ones, and what is left of them
// into rows. So an answer is exact whatever `from`, `to` and the window are, as long as the levels it needs are kept.
import { StoreError } from '../errors.ts'

export interface Level {
  readonly name: '1s' | '1m' | '1h'
  readonly sizeMs: number
  readonly table: string
}

export const SECOND: Level = { name: '1s', sizeMs: 1_000, table: 'rollup_1s' }
export const MINUTE: Level = { name: '1m', sizeMs: 60_000, table: 'rollup_1m' }
export const HOUR: Level = { name: '1h', sizeMs: 3_600_000, table: 'rollup_1h' }
/** From fine to coarse. */
export const LEVELS: readonly Level[] = [SECOND, MINUTE, HOUR]

/** Before any event time; a whole number of hours, so that every level may begin here. */
export const BEGINNING_MS = -8_640_000_000_000_000

/** Least event time from which each level is whole, ms; horizons are whole hours, so no bucket is cut by one. */
export interface Horizons {
  readonly rows: number
  readonly '1s': number
  readonly '1m': number
  readonly '1h': number
}

export const NO_HORIZONS: Horizons = {
  rows: BEGINNING_MS,
  '1s': BEGINNING_MS,
  '1m': BEGINNING_MS,
  '1h': BEGINNING_MS,
}

/** [from, to) of one level; level null: of the rows. */
export interface Piece {
  readonly level: Level | null
  readonly from: number
  readonly to: number
}

export const floorTo = (ms: number, sizeMs: number): number => Math.floor(ms / sizeMs) * sizeMs
const ceilTo = (ms: number, sizeMs: number): number => Math.ceil(ms / sizeMs) * sizeMs

/**
 * Pieces that make up [from, to), in order of time.
 * @throws StoreError STORE_EXPIRED where only levels are kept that are too coarse for it
 */
export function planRange(from: number, to: number, horizons: Horizons): Piece[] {
  const pieces: Piece[] = []
  addPieces(pieces, from, to, horizons, LEVELS.length - 1)
  return pieces
}

function addPieces(pieces: Piece[], from: number, to: number, horizons: Horizons, rank: number): void {
  if (from >= to) return
  if (rank < 0) {
    if (from < horizons.rows) throw expired(from, horizons)
    pieces.push({ level: null, from, to })
    return
  }
  const level = LEVELS[rank]
  const low = Math.max(ceilTo(from, level.sizeMs), horizons[level.name])
  const high = floorTo(to, level.sizeMs)
  if (low >= high) return addPieces(pieces, from, to, horizons, rank - 1)
  addPieces(pieces, from, low, horizons, rank - 1)
  pieces.push({ level, from: low, to: high })
  addPieces(pieces, high, to, horizons, rank - 1)
}

function expired(from: number, horizons: Horizons): StoreError {
  const kept = LEVELS.find(({ name }) => horizons[name] <= from)
  const message =
    kept === undefined
      ? `what was before ${new Date(horizons['1h']).toISOString()} is not kept`
      : `at ${new Date(from).toISOString()} only aggregates of ${kept.name} and longer are kept: ask for windows of whole ${kept.name}, with from and to on their boundaries`
  return new StoreError('STORE_EXPIRED', message)
}
