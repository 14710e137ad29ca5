// Stored rows that rows of a batch may meet. Looked up in stretches of event time, so that a look-up brings little more
// than what it is for; rows after a sensor's newest one meet none and are not asked for.
import { storedRow } from '../merge.ts'
import type { StoredRow } from './fold.ts'
import { chunksOf, decodeText, historyCell, tableIn, TABLES_PER_STATEMENT, timeOf } from './sql.ts'
import type { Cell, Rows } from './transport.ts'

const STRETCH_MS = 60_000
const STRETCH_ROWS = 5_000

/** A place that may be taken: sub-table and event time. */
export interface Overlap {
  readonly table: string
  readonly ts: number
}

export const overlapKey = (table: string, ts: number): string => `${table} ${ts}`

/** By `overlapKey`. @param query reads */
export async function lookUpOverlaps(
  query: (sql: string) => Promise<Rows>,
  database: string,
  metrics: readonly string[],
  overlaps: Overlap[],
): Promise<Map<string, StoredRow>> {
  const columns = ['tbname', ...STORED_COLUMNS, ...metrics].join(',')
  const stored = new Map<string, StoredRow>()
  for (const stretch of stretches(overlaps)) {
    const wanted = new Set(stretch.map(({ table, ts }) => overlapKey(table, ts)))
    for (const tables of chunksOf([...new Set(stretch.map(({ table }) => table))], TABLES_PER_STATEMENT)) {
      const range = `ts >= ${stretch[0].ts} AND ts <= ${stretch[stretch.length - 1].ts}`
      const found = await query(`SELECT ${columns} FROM ${database}.readings WHERE ${tableIn(tables)} AND ${range}`)
      for (const [table, ts, ...cells] of found) {
        const key = overlapKey(String(table), timeOf(ts))
        if (wanted.has(key)) stored.set(key, readRow(cells, metrics))
      }
    }
  }
  return stored
}

const STORED_COLUMNS = ['ts', 'row_version', 'epoch', 'seq', 'superseded', 'arrival_ms', 'site_id', 'node_id', 'tags_json', 'history'] // prettier-ignore

function readRow(
  [version, epoch, seq, superseded, arrival, site, node, tags, history, ...values]: readonly Cell[],
  metrics: readonly string[],
): StoredRow {
  const mark = { version: Number(version), epoch: Number(epoch), seq: Number(seq) }
  const numbers = values.map((value) => (value === null ? null : Number(value)))
  return {
    row: storedRow(mark, numbers, historyCell(history), metrics),
    superseded: Number(superseded),
    arrival: Number(arrival),
    site: decodeText(String(site)),
    node: decodeText(String(node)),
    tagsJson: decodeText(String(tags)),
  }
}

/** Overlaps in order of time, cut where a stretch grows too long or too many. */
function* stretches(overlaps: Overlap[]): Generator<Overlap[]> {
  overlaps.sort((a, b) => a.ts - b.ts)
  let from = 0
  for (let i = 1; i <= overlaps.length; i += 1) {
    const isEnd = i === overlaps.length || overlaps[i].ts - overlaps[from].ts > STRETCH_MS || i - from >= STRETCH_ROWS
    if (!isEnd) continue
    yield overlaps.slice(from, i)
    from = i
  }
}
