// What cumulative metrics grew by, per window of a site, by the rule of `increase` in port.ts. A value that never fell
// needs its first and last value per sensor and window only. Sensors whose value fell within the range, which the server
// finds, and those that moved between sites are read row by row, one at a time and in pages: they are few.
import type { AggregateQuery } from '../port.ts'
import { chunksOf, decodeText, tableIn, TABLES_PER_STATEMENT, textLiteral, timeOf } from './sql.ts'
import type { Rows } from './transport.ts'

export interface Steps {
  increase: number
  resets: number
}

export interface StepsPlace {
  readonly run: (sql: string) => Promise<Rows>
  readonly database: string
  readonly query: AggregateQuery
  /** Conditions of the site's rows within the range. */
  readonly rows: string
}

/** Sensor-windows in one answer: some 10 MB. */
const CELLS_PER_STATEMENT = 100_000
const ROWS_PER_PAGE = 10_000

/** Steps by the start of their window. */
export class WindowSteps {
  readonly #windowMs: number
  readonly #steps = new Map<number, Steps>()

  constructor(windowMs: number) {
    this.#windowMs = windowMs
  }

  of(start: number): Steps {
    return this.#steps.get(start) ?? { increase: 0, resets: 0 }
  }

  /** The step that ends at `ts` with `value`. */
  add(ts: number, value: number, before: number): void {
    const start = Math.floor(ts / this.#windowMs) * this.#windowMs
    let steps = this.#steps.get(start)
    if (steps === undefined) this.#steps.set(start, (steps = { increase: 0, resets: 0 }))
    if (value >= before) steps.increase += value - before
    else {
      steps.increase += Math.max(0, value)
      steps.resets += 1
    }
  }
}

/**
 * @param tables of the site's sensors
 * @param moved those of sensors that were elsewhere, too, within the range
 */
export async function sumSteps(
  place: StepsPlace,
  column: string,
  tables: readonly string[],
  moved: ReadonlySet<string>,
): Promise<WindowSteps> {
  const { run, database, query, rows } = place
  const { from, to, windowMs } = query
  const steps = new WindowSteps(windowMs)
  const single = new Set([...moved, ...(await fallenTables(place, column))])
  const perStatement = Math.floor(CELLS_PER_STATEMENT / Math.ceil((to - from) / windowMs + 1))
  for (const part of chunksOf(tables, Math.min(TABLES_PER_STATEMENT, Math.max(1, perStatement)))) {
    const within = tableIn(part)
    const [ends, before] = await Promise.all([
      run(
        `SELECT _wstart,tbname,first(${column}),last(${column}) FROM ${database}.readings${rows} AND ${within} PARTITION BY tbname INTERVAL(${windowMs}a)`,
      ),
      run(
        `SELECT tbname,last(${column}) FROM ${database}.readings WHERE ${within} AND ts < ${from} PARTITION BY tbname`,
      ),
    ])
    if (ends.length === 0) continue
    const bases = new Map(before.map(([table, last]) => [String(table), last === null ? null : Number(last)]))
    for (const [table, windows] of endsByTable(ends, single)) addEnds(steps, windows, bases.get(table) ?? null)
    for (const table of part)
      if (single.has(table)) await addRows(place, column, table, bases.get(table) ?? null, steps)
  }
  return steps
}

/** Tables of the site's sensors that have rows of another site in the range: every row of theirs is read. */
export async function movedTables(
  { run, database, query: { from, to, site } }: StepsPlace,
  tables: readonly string[],
): Promise<Set<string>> {
  const moved = new Set<string>()
  for (const part of chunksOf(tables, TABLES_PER_STATEMENT)) {
    const found = await run(
      `SELECT tbname,count(*) FROM ${database}.readings WHERE ${tableIn(part)} AND ts >= ${from} AND ts < ${to} AND site_id <> ${textLiteral(site)} GROUP BY tbname`,
    )
    for (const [table] of found) moved.add(String(table))
  }
  return moved
}

/** Tables in which the value fell at the site; of sensors that stayed there it is every fall. */
async function fallenTables({ run, database, rows }: StepsPlace, column: string): Promise<string[]> {
  const fallen = await run(
    `SELECT t,count(*) FROM (SELECT tbname AS t,diff(${column}) AS d FROM ${database}.readings${rows} PARTITION BY tbname) WHERE d < 0 GROUP BY t`,
  )
  return fallen.map(([table]) => String(table))
}

/** First and last value of a metric in one window of one sensor. */
interface Ends {
  readonly start: number
  readonly first: number
  readonly last: number
}

function endsByTable(rows: Rows, without: ReadonlySet<string>): Map<string, Ends[]> {
  const byTable = new Map<string, Ends[]>()
  for (const [start, table, first, last] of rows) {
    if (first === null || last === null || without.has(String(table))) continue
    const ends = byTable.get(String(table)) ?? []
    if (ends.length === 0) byTable.set(String(table), ends)
    ends.push({ start: timeOf(start), first: Number(first), last: Number(last) })
  }
  for (const ends of byTable.values()) ends.sort((a, b) => a.start - b.start)
  return byTable
}

/** Within a window the value never fell; into it, it may have. @param base last value before the range */
function addEnds(steps: WindowSteps, ends: readonly Ends[], base: number | null): void {
  let before = base
  for (const { start, first, last } of ends) {
    if (before !== null) steps.add(start, first, before)
    steps.add(start, last, first)
    before = last
  }
}

async function addRows(
  { run, database, query }: StepsPlace,
  column: string,
  table: string,
  base: number | null,
  steps: WindowSteps,
): Promise<void> {
  let before = base
  for (let next = query.from; ;) {
    const conditions = `${tableIn([table])} AND ts >= ${next} AND ts < ${query.to}`
    const page = await run(
      `SELECT ts,site_id,${column} FROM ${database}.readings WHERE ${conditions} ORDER BY ts LIMIT ${ROWS_PER_PAGE}`,
    )
    for (const [ts, site, cell] of page) {
      if (cell === null) continue
      const value = Number(cell)
      if (before !== null && decodeText(String(site)) === query.site) steps.add(timeOf(ts), value, before)
      before = value
    }
    if (page.length < ROWS_PER_PAGE) return
    next = timeOf(page.at(-1)![0]) + 1
  }
}
