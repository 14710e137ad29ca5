// The optional transport of the TDengine store: statements through the package `@tdengine/websocket`, which is loaded
// only when TDENGINE_URL begins with ws: or wss:, and need not be installed otherwise. It keeps what tdengine-transport.ts
// promises (cells as REST has them, no second try, a write is told its real end) where the package by itself would not:
// that waits for an answer after its connection has broken, sends statements again, and keeps connections for reuse that
// are no good any more. So each connection here carries one statement at a time and is thrown away after any doubt.
import { messageOf, StoreError } from '../../errors.ts'
import { StoreOutageError } from '../store-errors.ts'
import { errorOfCode } from './errors.ts'
import type { Cell, Rows, SqlTransport } from './transport.ts'
import { loadWebSocketPackage, type WebSocketPackage, type WsResult, type WsSql } from './websocket-package.ts'

export interface WebSocketOptions {
  /** ws://host:port */
  readonly origin: string
  readonly username: string
  readonly password: string
  /** In place of the package: for tests. */
  readonly load?: () => WebSocketPackage
}

/** As many statements at once as the REST transport has under way. */
const CONNECTIONS = 5
/** Statements under way and waiting; beyond it they are refused. */
const STATEMENTS_MAX = 256
/** As for REST: an answer that took this long counts as never. */
const NEVER_MS = 120_000
/** Longest wait for a connection, ms: of one that is refused some versions of the package tell only after NEVER_MS. */
const CONNECT_MS = 10_000
/** How often a statement under way looks whether its connection is still open, ms. */
const WATCH_MS = 250
/** `readyState` of a WebSocket that is open. */
const OPEN = 1
/** Codes that the package gives to its own failures; the server's begin at 256, or are below 100. */
const isOwnCode = (code: number): boolean => code >= 100 && code < 256
/** Of these a text "NULL" is a text; of all others it is how the package says NULL. */
const TEXT_TYPES = new Set(['VARCHAR', 'BINARY', 'NCHAR', 'JSON'])

/** A connection, or the place of one that is made when it is needed. */
interface Place {
  sql: WsSql | null
}

export class WebSocketTransport implements SqlTransport {
  readonly #package: WebSocketPackage
  readonly #options: WebSocketOptions
  readonly #free: Place[] = Array.from({ length: CONNECTIONS }, () => ({ sql: null }))
  /** In order of their coming. */
  readonly #waiting: ((place: Place) => void)[] = []
  readonly #closing = new AbortController()
  /** The package's `destroy` may miss what is released meanwhile: one connection after another is thrown away. */
  #discarded: Promise<void> = Promise.resolve()
  #underWay = 0

  /** @throws ConfigError when the package is not installed */
  constructor(options: WebSocketOptions) {
    this.#options = options
    this.#package = (options.load ?? loadWebSocketPackage)()
    // It would log the address with the password, at the level of errors too; no level has this name.
    this.#package.setLogLevel('silent')
  }

  async query(sql: string, signal?: AbortSignal): Promise<Rows> {
    if (this.#underWay >= STATEMENTS_MAX)
      throw new StoreError('STORE_BUSY', `${STATEMENTS_MAX} statements wait for the store already`, { retriable: true })
    this.#underWay += 1
    const end = signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
    try {
      return await this.#onPlace(sql, end)
    } finally {
      this.#underWay -= 1
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new StoreOutageError('TDengine: the store is closed'))
    for (const place of this.#free) this.#discard(place)
    await this.#discarded
  }

  async #onPlace(sql: string, end: AbortSignal): Promise<Rows> {
    const place = await this.#take(end)
    try {
      const connection = place.sql?.state() === OPEN ? place.sql : await this.#connect(place, end)
      if (end.aborted) throw notInTime(end)
      const isBroken = (): boolean => connection.state() !== OPEN
      return rowsOf(await settled(connection.exec(sql), end, isBroken))
    } catch (error) {
      const failure = failureOf(error)
      if (failure instanceof StoreOutageError) this.#discard(place)
      throw failure
    } finally {
      if (this.#closing.signal.aborted) this.#discard(place)
      this.#give(place)
    }
  }

  #give(place: Place): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#free.push(place)
    else next(place)
  }

  async #take(end: AbortSignal): Promise<Place> {
    if (end.aborted) throw notInTime(end)
    const free = this.#free.pop()
    if (free !== undefined) return free
    const { promise, resolve } = Promise.withResolvers<Place>()
    this.#waiting.push(resolve)
    try {
      return await settled(promise, end)
    } catch (error) {
      const at = this.#waiting.indexOf(resolve)
      if (at >= 0) this.#waiting.splice(at, 1)
      // It was given a place in the very moment that it gave up.
      else void promise.then((given) => this.#give(given))
      throw error
    }
  }

  async #connect(place: Place, end: AbortSignal): Promise<WsSql> {
    this.#discard(place)
    await this.#discarded
    const { origin, username, password } = this.#options
    // Newer versions send what was not answered again on a new connection, writes as well, unless they are told not to.
    const config = new this.#package.WSConfig(`${origin}?retries=0`)
    config.setUser(encodePercent(username))
    config.setPwd(encodePercent(password))
    config.setTimeOut(NEVER_MS)
    const connecting = this.#package.sqlConnect(config)
    const late = AbortSignal.timeout(CONNECT_MS)
    try {
      place.sql = await settled(connecting, AbortSignal.any([end, late]))
      return place.sql
    } catch (error) {
      // Should it be established later, or has it failed and left something behind, that is thrown away then.
      connecting.then(
        (sql) => this.#discard({ sql }),
        () => this.#afterwards(() => Promise.resolve()),
      )
      if (late.aborted && !end.aborted)
        throw new StoreOutageError(`TDengine: no connection to ${origin} in ${CONNECT_MS} ms`, { cause: late.reason })
      throw failureOfConnect(error, origin)
    }
  }

  /** `close` alone would keep the connection for the next one that connects, be it broken or not. */
  #discard(place: Place): void {
    const { sql } = place
    if (sql === null) return
    place.sql = null
    this.#afterwards(() => sql.close())
  }

  #afterwards(release: () => Promise<void>): void {
    this.#discarded = this.#discarded.then(async () => {
      await release().catch(() => undefined)
      this.#package.destroy()
    })
  }
}

/** What comes of the work, unless the signal or a broken connection ends the wait for it. */
async function settled<T>(work: Promise<T>, end: AbortSignal, isBroken?: () => boolean): Promise<T> {
  const { promise: givenUp, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(notInTime(end))
  const onWatch = (): void => {
    if (isBroken?.() === true)
      reject(new StoreOutageError('TDengine: the connection broke', { cause: new Error('the WebSocket is not open') }))
  }
  end.addEventListener('abort', onAbort)
  if (end.aborted) onAbort()
  const watch = isBroken === undefined ? undefined : setInterval(onWatch, WATCH_MS)
  try {
    return await Promise.race([work, givenUp])
  } finally {
    clearInterval(watch)
    end.removeEventListener('abort', onAbort)
  }
}

const notInTime = ({ reason }: AbortSignal): StoreOutageError =>
  reason instanceof StoreOutageError
    ? reason
    : new StoreOutageError('TDengine: no answer in time', { cause: reason }, 'STORE_TIMEOUT')

/** The package puts user and password into a URL and decodes them again. */
const encodePercent = (text: string): string => text.replaceAll('%', '%25')

/** Of the server's code; the package's own failures leave open what became of the statement, which a cause says. */
function failureOf(error: unknown): StoreError {
  if (error instanceof StoreError) return error
  const code = codeOf(error)
  if (code === null) return new StoreOutageError(`TDengine: ${messageOf(error)}`, { cause: error })
  return errorOfCode(code, messageOf(error))
}

/** The server's code, without the bits that mark it as an error; null: the package's own failure. */
function codeOf(error: unknown): number | null {
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code !== 'number' || isOwnCode(code)) return null
  return code & 0xffff
}

/** The package wraps the server's refusal in a text that shows the address with the password: neither is passed on. */
function failureOfConnect(error: unknown, origin: string): StoreError {
  if (error instanceof StoreError) return error
  const [, inner, words] = /[^]*code:\s*(\d+), *(?:msg|message):\s*([^]*)$/.exec(messageOf(error)) ?? []
  const code = inner === undefined ? codeOf(error) : codeOf({ code: Number(inner) })
  if (code !== null) return errorOfCode(code, words ?? 'the connection was refused')
  const message = `no connection to ${origin}`
  return new StoreOutageError(`TDengine: ${message}`, { cause: new Error(message) })
}

/** As REST has them: one row with the rows affected, or the cells with timestamps as texts and integers as numbers. */
function rowsOf(result: WsResult): Rows {
  const rows = result.getData()
  const columns = result.getMeta()
  if (rows === null || columns === null) return [[result.getAffectRows() ?? 0]]
  const unitsPerMs = 1000n ** BigInt(result.getPrecision() ?? 0)
  const cells: Cell[][] = []
  for (const row of rows) {
    const line: Cell[] = []
    for (let i = 0; i < columns.length; i += 1) line.push(cellOf(row[i], columns[i].type, unitsPerMs))
    cells.push(line)
  }
  return cells
}

function cellOf(value: unknown, type: string, unitsPerMs: bigint): Cell {
  if (value === null || value === undefined) return null
  if (typeof value === 'bigint')
    return type === 'TIMESTAMP' ? new Date(Number(value / unitsPerMs)).toISOString() : Number(value)
  if (typeof value === 'string') return value === 'NULL' && !TEXT_TYPES.has(type) ? null : value
  if (typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))) return value
  // NaN or Infinity, which only a foreign writer can have brought in, or a type that no statement here asks for.
  throw new StoreError('STORE_FAILED', `TDengine: a ${type} that cannot be read`)
}
