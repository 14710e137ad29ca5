// One SQL statement to TDengine and its answer, by taosAdapter's REST interface. The transport keeps no state, starts
// no second try and gives no write up by itself: a write whose client went away may still be applied, so anyone who
// writes must be told the real end of it, however late (tdengine-writer.ts says what it does meanwhile).
import { Pool } from 'undici'
import { messageOf, StoreError } from '../../errors.ts'
import { StoreOutageError } from '../store-errors.ts'
import { errorOfCode } from './errors.ts'

export type Cell = string | number | boolean | null
export type Rows = readonly (readonly Cell[])[]

export interface SqlTransport {
  /**
   * Cells in the order of the select list; timestamps are RFC 3339 texts, UTC. A write gives one row: rows affected.
   * Rejects with StoreOutageError, StorePoisonError or another StoreError (tdengine-errors.ts).
   * @param signal gives a read up; never given for a write
   */
  query(sql: string, signal?: AbortSignal): Promise<Rows>
  close(): Promise<void>
}

export interface RestOptions {
  /** scheme://host:port */
  readonly origin: string
  readonly username: string
  readonly password: string
}

/** Reads at once beside the one write; further ones wait within undici. */
const CONNECTIONS = 5
/** Statements under way and waiting; beyond it reads are refused. */
const STATEMENTS_MAX = 256
/** A server without its database answered eight statements only after 62 s; twice that counts as never. */
const NEVER_MS = 120_000
/** Longest answer, bytes: some million counters, some hundred thousand readings. */
const ANSWER_BYTES_MAX = 134_217_728

export class RestTransport implements SqlTransport {
  readonly #pool: Pool
  readonly #authorization: string
  #underWay = 0

  constructor({ origin, username, password }: RestOptions) {
    this.#pool = new Pool(origin, { connections: CONNECTIONS, headersTimeout: NEVER_MS, bodyTimeout: NEVER_MS })
    this.#authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
  }

  async query(sql: string, signal?: AbortSignal): Promise<Rows> {
    if (this.#underWay >= STATEMENTS_MAX)
      throw new StoreError('STORE_BUSY', `${STATEMENTS_MAX} statements wait for the store already`, { retriable: true })
    this.#underWay += 1
    try {
      return parseAnswer(...(await this.#post(sql, signal)))
    } finally {
      this.#underWay -= 1
    }
  }

  async close(): Promise<void> {
    await this.#pool.destroy()
  }

  async #post(sql: string, signal: AbortSignal | undefined): Promise<[status: number, text: string]> {
    try {
      const { statusCode, body } = await this.#pool.request({
        method: 'POST',
        path: '/rest/sql',
        headers: { authorization: this.#authorization },
        body: sql,
        signal,
      })
      const chunks: Buffer[] = []
      let bytes = 0
      for await (const chunk of body as AsyncIterable<Buffer>) {
        bytes += chunk.length
        if (bytes > ANSWER_BYTES_MAX)
          throw new StoreError('STORE_FAILED', `TDengine: the answer is longer than ${ANSWER_BYTES_MAX} bytes`)
        chunks.push(chunk)
      }
      return [statusCode, Buffer.concat(chunks).toString('utf8')]
    } catch (error) {
      if (error instanceof StoreError) throw error
      if (signal?.aborted) throw new StoreOutageError('TDengine: no answer in time', { cause: error }, 'STORE_TIMEOUT')
      throw new StoreOutageError(`TDengine: ${messageOf(error)}`, { cause: error })
    }
  }
}

interface Answer {
  readonly code: number
  readonly desc?: string
  readonly data?: Rows
}

/**
 * The code decides, not the HTTP status: an error comes with 200 as well, unless the server is set otherwise.
 * @param text integers beyond 2^53 lose digits here; nothing that is stored is greater
 */
export function parseAnswer(status: number, text: string): Rows {
  const answer = parseJson(text)
  if (answer === null) {
    const shown = text === '' ? 'an empty body' : 'no answer of taosAdapter'
    const message = `TDengine: HTTP ${status} with ${shown}`
    // A select that meets NaN or Infinity, which only a foreign writer can have brought in, answers 200 and nothing.
    throw status >= 500 ? new StoreOutageError(message) : new StoreError('STORE_FAILED', message)
  }
  if (answer.code !== 0) throw errorOfCode(answer.code, answer.desc ?? `HTTP ${status}`)
  return answer.data ?? []
}

function parseJson(text: string): Answer | null {
  try {
    const answer = JSON.parse(text) as Answer | null
    return typeof answer === 'object' && typeof answer?.code === 'number' ? answer : null
  } catch {
    return null
  }
}
