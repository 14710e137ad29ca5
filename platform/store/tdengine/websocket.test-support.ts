// Stands in for the package `@tdengine/websocket`, after its source, over the stand-in of the server: what it is known
// to do badly it does here too. `close` returns a connection to a pool whatever its state, the pool hands it out again,
// `destroy` ends those in the pool; nobody whose connection breaks is told; NULL is the text "NULL"; doubles lose what
// is behind the fifteenth decimal; a refused connection is told with the address and the password.
import { StoreError } from '../../errors.ts'
import type { Cell } from './transport.ts'
import type { WebSocketPackage, WsConfig, WsResult, WsSql } from './websocket-package.ts'
import type { StandIn } from './stand-in.test-support.ts'

const OPEN = 1
const CLOSED = 3

export class WsError extends Error {
  readonly code: number

  constructor(code: number, message: string) {
    super(message)
    this.code = code
  }
}

/** A WebSocket. */
interface Socket {
  state: number
}

export class PackageStandIn implements WebSocketPackage {
  readonly standIn: StandIn
  readonly sockets: Socket[] = []
  readonly configs: Config[] = []
  readonly levels: string[] = []
  /** What a statement or a connection waits for, and may fail with, before it continues. */
  beforeExec: (sql: string, socket: Socket) => Promise<void> = () => Promise.resolve()
  beforeConnect: (url: string) => Promise<void> = () => Promise.resolve()
  /** Statements under way at once, at most. */
  mostAtOnce = 0
  readonly WSConfig = Config
  #pool: Socket[] = []
  #atOnce = 0
  readonly #roundsDoubles: boolean

  constructor(standIn: StandIn, { roundsDoubles = true } = {}) {
    this.standIn = standIn
    this.#roundsDoubles = roundsDoubles
  }

  open = (): number => this.sockets.filter(({ state }) => state === OPEN).length

  sqlConnect = async (config: WsConfig): Promise<WsSql> => {
    if (!(config instanceof Config)) throw new Error('no config')
    this.configs.push(config)
    const socket = this.#pool.pop() ?? { state: 0 }
    if (!this.sockets.includes(socket)) this.sockets.push(socket)
    try {
      if (socket.state === 0) await this.beforeConnect(config.shownUrl)
      if (socket.state === 0) socket.state = OPEN
    } catch (error) {
      socket.state = CLOSED
      this.#pool.push(socket)
      throw error
    }
    return {
      exec: (sql) => this.#exec(sql, socket),
      state: () => socket.state,
      close: async () => void this.#pool.push(socket),
    }
  }

  destroy = (): void => {
    for (const socket of this.#pool) socket.state = CLOSED
    this.#pool = []
  }

  setLogLevel = (level: string): void => void this.levels.push(level)

  async #exec(sql: string, socket: Socket): Promise<WsResult> {
    this.#atOnce += 1
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce)
    try {
      await this.beforeExec(sql, socket)
      return resultOf(sql, (await this.standIn.query(sql)) as Cell[][], this.#roundsDoubles)
    } catch (error) {
      // The stand-in of the server says its codes at the end of the message.
      const [, words, code] = /^TDengine: ([^]*) \((\d+)\)/.exec(error instanceof StoreError ? error.message : '') ?? []
      throw code === undefined ? error : new WsError(0x80000000 + Number(code), words)
    } finally {
      this.#atOnce -= 1
    }
  }
}

class Config implements WsConfig {
  readonly url: string
  user = ''
  password = ''
  timeoutMs = 5_000

  constructor(url: string) {
    this.url = url
  }

  get shownUrl(): string {
    return this.url.replace('//', `//${this.user}:${this.password}@`)
  }

  setUser(user: string): void {
    this.user = user
  }

  setPwd(password: string): void {
    this.password = password
  }

  setTimeOut(ms: number): void {
    this.timeoutMs = ms
  }
}

function resultOf(sql: string, rows: Cell[][], roundsDoubles: boolean): WsResult {
  if (/^(INSERT|CREATE|ALTER)/.test(sql))
    return { getMeta: () => null, getData: () => null, getAffectRows: () => Number(rows[0][0]), getPrecision: () => 0 }
  const list = (/^SELECT (.*?) FROM /s.exec(sql)?.[1] ?? '').split(',')
  const columns = (rows[0] ?? []).map((_, i) => ({ type: typeOf(list[i], rows, i) }))
  const data = rows.map((row) => row.map((cell, i) => asRead(cell, columns[i].type, roundsDoubles)))
  return { getMeta: () => columns, getData: () => data, getAffectRows: () => 0, getPrecision: () => 0 }
}

function typeOf(item: string | undefined, rows: Cell[][], at: number): string {
  if (item !== undefined && /^(ts|_wstart|last\(ts\))$/.test(item)) return 'TIMESTAMP'
  if (rows.some((row) => typeof row[at] === 'string')) return 'NCHAR'
  return rows.every((row) => row[at] === null || Number.isSafeInteger(row[at])) ? 'BIGINT' : 'DOUBLE'
}

function asRead(cell: Cell, type: string, roundsDoubles: boolean): unknown {
  if (cell === null) return 'NULL'
  if (type === 'TIMESTAMP') return BigInt(Date.parse(String(cell)))
  if (type === 'BIGINT') return BigInt(cell)
  return type === 'DOUBLE' && roundsDoubles ? parseFloat(Number(cell).toFixed(15)) : cell
}
