// The TDengine store: the port over one database, by one transport. The sink writes; any number may read, and each
// waits until the sink has set the store up. There are no transactions: see tdengine-writer.ts for what takes their
// place, tdengine-schema.ts for the layout and testdata/README.md for what is known of a real server.
import { METRICS, type Metric } from '../../../schemas/metrics.ts'
import { StoreError } from '../../errors.ts'
import type { Store, StoreView, WriteBatch } from '../port.ts'
import { type DatabaseSettings, ensureDatabase } from './database.ts'
import { TdengineView } from './reads.ts'
import { isTdengineMigrated, migrateTdengine } from './schema.ts'
import type { SqlTransport } from './transport.ts'
import { TdengineWriter } from './writer.ts'

export interface TdengineOptions {
  /** Closed with the store. */
  readonly transport: SqlTransport
  /** A lower-case word: it is used in statements as it is. */
  readonly database: string
  readonly access: 'write' | 'read'
  /** Other than schemas/reading.avsc has: for tests of migrations. */
  readonly metrics?: readonly Metric[]
  /** For a database that is made, and held against one that exists. */
  readonly settings?: DatabaseSettings
  /** For tests: see tdengine-writer.ts. */
  readonly settleMs?: number
}

/** What may name a database here: TDengine's own bound is 64 bytes, and a keyword it refuses by itself. */
export const DATABASE_NAME = /^[a-z][a-z0-9_]{0,31}$/

export class TdengineStore implements Store {
  readonly #transport: SqlTransport
  readonly #database: string
  readonly #metrics: readonly Metric[]
  readonly #settings: DatabaseSettings
  readonly #view: StoreView
  readonly #newWriter: (() => TdengineWriter) | null
  #writer: TdengineWriter | null = null
  #ready = false
  #closed = false

  constructor({ transport, database, access, metrics = METRICS, settings = {}, settleMs }: TdengineOptions) {
    if (!DATABASE_NAME.test(database)) throw new Error(`${database} cannot name a database`)
    this.#transport = transport
    this.#database = database
    this.#metrics = metrics
    this.#settings = settings
    this.#view = new TdengineView(transport, database, metrics, {
      onProgress: () => this.#writer?.doubtProgress(),
      keepDays: settings.keepDays,
    })
    this.#newWriter = access === 'write' ? () => new TdengineWriter({ transport, database, metrics, settleMs }) : null
  }

  async migrate(): Promise<void> {
    if (this.#newWriter === null) throw new Error('a store opened for reading does not migrate')
    await ensureDatabase(this.#transport, this.#database, this.#settings)
    await migrateTdengine(this.#transport, this.#database, this.#metrics)
    this.#writer = this.#newWriter()
    this.#ready = true
  }

  async write(batch: WriteBatch, signal?: AbortSignal): Promise<void> {
    if (this.#writer === null) throw new Error('call migrate() before write()')
    await this.#writer.write(batch, signal)
  }

  async read<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
    this.#ready ||= await isTdengineMigrated(this.#transport, this.#database, this.#metrics)
    if (!this.#ready)
      throw new StoreError('STORE_NOT_READY', 'the store has not been set up by the sink yet', { retriable: true })
    return work(this.#view)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#writer = null
    await this.#transport.close()
  }
}
