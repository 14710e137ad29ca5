// Stands in for a TDengine server where none can be had: it takes the statements that the adapter sends, and nothing
// else, and runs them on SQLite in memory. So the adapter's own logic (version rule, replay, windows, growth) runs
// through the contract everywhere. It is no proof that a server takes the statements: for that there are the
// recordings, and the contract on a real one (tdengine.real.test.ts). What it copies of TDengine is what was recorded:
// columns that are not named keep their value, within one statement a repeated row's NULL does not overwrite, the tags
// of a sub-table stay, and what SQL cannot say of a number is refused.
import { DatabaseSync } from 'node:sqlite'
import { errorOfCode } from './errors.ts'
import type { Cell, Rows, SqlTransport } from './transport.ts'

const STATEMENT_BYTES = 1_048_576
/** Tables in which a value fell. */
const FALLEN =
  /^SELECT t,count\(\*\) FROM \(SELECT tbname AS t,diff\((\w+)\) AS d FROM (\w+\.\w+)( WHERE .*) PARTITION BY tbname\) WHERE d < 0 GROUP BY t$/s

const DATABASE_COLUMNS = ['vgroups', 'replica', 'duration', 'keep', 'cachemodel', 'wal_level', 'wal_fsync_period']

interface Table {
  readonly columns: string[]
  readonly tags: readonly string[]
  /** Characters that a text may have. */
  readonly lengths: Map<string, number>
}

export class StandIn implements SqlTransport {
  readonly statements: string[] = []
  /** Of the database, as the server lists them. */
  readonly options: Record<string, Cell> = {
    vgroups: 2,
    replica: 1,
    duration: '14400m',
    keep: '52560000m,52560000m,52560000m',
    cachemodel: 'none',
    wal_level: 2,
    wal_fsync_period: 0,
  }
  readonly #db = new DatabaseSync(':memory:')
  readonly #tables = new Map<string, Table>()
  readonly #databases = new Set<string>()

  /** @param databases that exist already */
  constructor(...databases: readonly string[]) {
    for (const name of databases) this.#databases.add(name)
    for (const name of ['first', 'last', 'last_row'] as const) this.#db.aggregate(name, endOf(name) as never)
  }

  async query(sql: string, signal?: AbortSignal): Promise<Rows> {
    signal?.throwIfAborted()
    if (Buffer.byteLength(sql) > STATEMENT_BYTES) throw errorOfCode(537, 'SQL statement too long')
    this.statements.push(sql)
    if (sql.startsWith('INSERT INTO ')) return this.#insert(sql)
    if (sql.startsWith('SELECT ')) return this.#select(sql)
    return this.#define(sql)
  }

  async close(): Promise<void> {
    this.#db.close()
  }

  #define(sql: string): Rows {
    const database =
      /^CREATE DATABASE IF NOT EXISTS (\w+) PRECISION 'ms' KEEP (\d+)(.*) WAL_LEVEL 2 WAL_FSYNC_PERIOD 0$/.exec(sql)
    const table = /^CREATE STABLE IF NOT EXISTS (\w+\.\w+) \((.*)\) TAGS \((.*)\)$/.exec(sql)
    const column = /^ALTER STABLE (\w+\.\w+) ADD COLUMN (\w+) (?:DOUBLE|NCHAR\((\d+)\))$/.exec(sql)
    const described = /^describe (\w+\.\w+)$/.exec(sql)
    if (database !== null) this.#databases.add(database[1])
    else if (/^ALTER DATABASE \w+ WAL_LEVEL 2 WAL_FSYNC_PERIOD 0$/.test(sql))
      Object.assign(this.options, { wal_level: 2, wal_fsync_period: 0 })
    else if (table !== null) this.#create(table[1], table[2], table[3])
    else if (column !== null) {
      const { columns, lengths } = this.#table(column[1])
      if (columns.includes(column[2])) throw errorOfCode(875, 'Column already exists')
      columns.push(column[2])
      if (column[3] !== undefined) lengths.set(column[2], Number(column[3]))
      this.#db.exec(`ALTER TABLE ${fullName(column[1])} ADD COLUMN ${column[2]}`)
    } else if (described !== null) {
      const { columns, tags } = this.#table(described[1])
      return [...columns, ...tags].map((name) => [name])
    } else throw errorOfCode(9728, `syntax error near "${sql.slice(0, 60)}"`)
    return [[0]]
  }

  #create(path: string, columnList: string, tagList: string): void {
    const name = fullName(path)
    if (!this.#databases.has(path.slice(0, path.indexOf('.')))) throw errorOfCode(904, 'Database not exist')
    if (this.#tables.has(name)) return
    const fields = (list: string): string[][] => list.split(', ').map((field) => field.split(' '))
    const columns = fields(columnList).map(([column]) => column)
    const tags = fields(tagList).map(([tag]) => tag)
    const lengths = new Map(
      [...fields(columnList), ...fields(tagList)].flatMap(([field, type]) => {
        const length = /^NCHAR\((\d+)\)$/.exec(type)
        return length === null ? [] : [[field, Number(length[1])] as const]
      }),
    )
    this.#tables.set(name, { columns, tags, lengths })
    this.#db.exec(`CREATE TABLE ${name} (tbname, ${[...columns, ...tags].join(', ')}, PRIMARY KEY (tbname, ts))`)
  }

  #table(path: string): Table {
    const table = this.#tables.get(fullName(path))
    if (table === undefined) throw errorOfCode(9826, 'Fail to get table info, error: Table does not exist')
    return table
  }

  /** All or nothing, as a statement with a bad value is on the server. */
  #insert(sql: string): Rows {
    const reader = new Reader(sql.slice('INSERT INTO'.length))
    const seen = new Set<string>()
    this.#db.exec('BEGIN')
    try {
      while (!reader.isAtEnd()) this.#insertInto(reader, seen)
      this.#db.exec('COMMIT')
    } catch (error) {
      this.#db.exec('ROLLBACK')
      throw error
    }
    return [[seen.size]]
  }

  #insertInto(reader: Reader, seen: Set<string>): void {
    const [, name, path] = reader.take(/^ \w+\.`(\w+)` USING (\w+\.\w+) TAGS /)
    const table = this.#table(path)
    const superTable = fullName(path)
    const tags = reader.row()
    const [, list] = reader.take(/^ \(([\w,]+)\) VALUES /)
    const columns = list.split(',')
    const known = this.#db.prepare(`SELECT ${table.tags.join(',')} FROM ${superTable} WHERE tbname = ?`).get(name)
    const kept = known === undefined ? tags : table.tags.map((tag) => known[tag] as Cell)
    while (reader.isAtRow()) {
      const values = reader.row()
      check(table, [...columns, ...table.tags], [...values, ...tags])
      const key = `${name} ${values[columns.indexOf('ts')]}`
      const set = columns.map((column) =>
        seen.has(key) ? `${column} = coalesce(excluded.${column}, ${column})` : `${column} = excluded.${column}`,
      )
      seen.add(key)
      const names = ['tbname', ...columns, ...table.tags]
      this.#db
        .prepare(
          `INSERT INTO ${superTable} (${names.join(',')}) VALUES (${names.map(() => '?').join(',')}) ON CONFLICT (tbname, ts) DO UPDATE SET ${set.join(', ')}`,
        )
        .run(name, ...(values as number[]), ...(kept as string[]))
    }
  }

  #select(sql: string): Rows {
    if (sql.includes(' FROM information_schema.ins_databases '))
      return [DATABASE_COLUMNS.map((name) => this.options[name])]
    const count =
      /^SELECT count\(\*\) FROM information_schema\.ins_tables WHERE db_name='(\w+)' AND stable_name='(\w+)'$/
    const counted = count.exec(sql)
    if (counted !== null) {
      const path = `${counted[1]}.${counted[2]}`
      this.#table(path)
      return this.#run(`SELECT count(DISTINCT tbname) FROM ${fullName(path)}`, [])
    }
    const fallen = FALLEN.exec(sql)
    if (fallen !== null) {
      const [, column, table, conditions] = fallen
      const step = `${column} - lag(${column}) OVER (PARTITION BY tbname ORDER BY ts)`
      const steps = `SELECT tbname AS t, ${step} AS d FROM ${fullName(table)}${conditions} AND ${column} IS NOT NULL`
      return this.#run(`SELECT t, count(*) FROM (${steps}) WHERE d < 0 GROUP BY t`, [])
    }
    const [, list, name, rest] = /^SELECT (.*?) FROM (\w+\.\w+)(.*)$/s.exec(sql) ?? []
    if (name === undefined) throw errorOfCode(9728, `syntax error near "${sql.slice(0, 60)}"`)
    this.#table(name)
    const interval = / INTERVAL\((\d+)a\)/.exec(rest)
    const start = interval === null ? '' : `(ts - ((ts % ${interval[1]}) + ${interval[1]}) % ${interval[1]})`
    let text = `SELECT ${list} FROM ${fullName(name)}${rest}`
    text = text.replace(/\b(first|last|last_row)\((\w+)\)/g, '$1($2, ts)')
    text = text.replace(/ PARTITION BY ([\w,]+) INTERVAL\(\d+a\)/, ' GROUP BY $1, _wstart')
    text = text.replace(/ INTERVAL\(\d+a\)/, ' GROUP BY _wstart').replace(' PARTITION BY ', ' GROUP BY ')
    text = text.replaceAll('_wstart', start)
    const items = list.replaceAll(/\((\w+|\*)\)/g, ' $1').split(',')
    return this.#run(
      text,
      items.map((item) => /^(ts|_wstart|first ts|last ts)$/.test(item)),
    )
  }

  /** @param times which cells are timestamps */
  #run(sql: string, times: readonly boolean[]): Rows {
    const statement = this.#db.prepare(sql)
    statement.setReturnArrays(true)
    const rows = statement.all() as unknown as Cell[][]
    return rows.map((row) => row.map((cell, i) => (times[i] ? new Date(Number(cell)).toISOString() : cell)))
  }
}

/** SQLite's name for `database.table`. */
const fullName = (path: string): string => path.replace('.', '_')

/** Reads literals from where it stands. */
class Reader {
  #rest: string

  constructor(text: string) {
    this.#rest = text
  }

  isAtEnd(): boolean {
    return this.#rest === ''
  }

  isAtRow(): boolean {
    return this.#rest.startsWith('(')
  }

  take(pattern: RegExp): RegExpExecArray {
    const found = pattern.exec(this.#rest)
    if (found === null) throw errorOfCode(534, `syntax error near '${this.#rest.slice(0, 40)}' (, expected)`)
    this.#rest = this.#rest.slice(found[0].length)
    return found
  }

  /** "(literal,literal,…)" */
  row(): Cell[] {
    const [row] = this.take(/^\((?:'(?:[^'\\\0]|'')*'|[^'()])*\)/)
    const cells = row.slice(1, -1).match(/'(?:[^']|'')*'|[^,]+/g) ?? []
    return cells.map((cell) => {
      if (cell.startsWith("'")) return cell.slice(1, -1).replaceAll("''", "'")
      if (cell === 'NULL') return null
      if (!/^-?\d+(\.\d+)?(e-?\d+)?$/.test(cell))
        throw errorOfCode(534, `syntax error near '${cell}' (illegal double data)`)
      return Number(cell)
    })
  }
}

function check(table: Table, names: readonly string[], values: readonly Cell[]): void {
  values.forEach((value, i) => {
    const bound = table.lengths.get(names[i])
    if (bound !== undefined && typeof value === 'string' && [...value].length > bound)
      throw errorOfCode(9811, `Value too long for column/tag: ${names[i]}`)
  })
}

/** An aggregate over (value, ts): the first or last value that is there, or the last row's value. */
function endOf(name: 'first' | 'last' | 'last_row') {
  type Seen = { ts: number; value: Cell } | null
  return {
    start: () => null as never,
    step: (seen: Seen, value: Cell, ts: number): never => {
      const isIn = name === 'last_row' || value !== null
      const isBetter = seen === null || (name === 'first' ? ts < seen.ts : ts > seen.ts)
      return (isIn && isBetter ? { ts, value } : seen) as never
    },
    result: (seen: Seen) => seen?.value ?? null,
  }
}
