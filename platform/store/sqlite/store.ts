// The embedded store: one SQLite file in WAL mode, by node:sqlite. One process writes (the sink); any number may read
// at the same time without waiting, each read on a consistent state.
//
// Durability: `synchronous` is NORMAL. A killed process loses nothing that `write` resolved. A power cut may lose the
// latest transactions, but rows and offsets share a transaction, so they are lost together: the sink then continues
// from the older offsets and Kafka, which still has the records, brings the rows back. FULL would cost one fsync per
// batch and gain nothing.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { METRICS, type Metric } from '../../../schemas/metrics.ts'
import { StoreError } from '../../errors.ts'
import type { Retention, Store, StoreView, WriteBatch } from '../port.ts'
import { isMigrated, migrate } from './migrations.ts'
import { SqliteView } from './reads.ts'
import { SqliteWriter } from './writer.ts'
import { StorePoisonError } from '../store-errors.ts'
import { asStoreError, attempt, reasonOfRefusal } from './errors.ts'

/** How long a statement waits for another process's lock, ms: longer than any transaction of ours takes. */
const BUSY_TIMEOUT_MS = 5_000
/** The same of a write, which blocks the thread meanwhile: beyond it the caller waits, who can do other things. */
const WRITE_BUSY_TIMEOUT_MS = 200
/** Page cache of the writer, KiB: the newest page of each of some ten thousand sensors. */
const WRITER_CACHE_KIB = 65_536
/** Pages in the WAL before they are moved to the file: hot pages are rewritten often and moved once. */
const CHECKPOINT_PAGES = 8_000
/** The WAL file is cut to this size after a checkpoint, bytes. */
const WAL_LIMIT_BYTES = 67_108_864
/** Reads at once; more wait their turn. */
const READERS = 4
/** Reads that may wait. */
const WAITING_READS = 256

export interface SqliteOptions {
  readonly file: string
  /** Readers open no write path and wait for the writer's migrations. */
  readonly access: 'write' | 'read'
  /** Other than schemas/reading.avsc has: for tests of migrations. */
  readonly metrics?: readonly Metric[]
}

interface Reader {
  readonly db: DatabaseSync
  readonly view: StoreView
}

export class SqliteStore implements Store {
  readonly #file: string
  readonly #metrics: readonly Metric[]
  readonly #writerDb: DatabaseSync | null
  #writer: SqliteWriter | null = null
  #ready = false
  readonly #idle: Reader[] = []
  #readers = 0
  readonly #waiting: (() => void)[] = []
  #closed = false

  /** @throws StoreError that names the file when it cannot be opened */
  constructor({ file, access, metrics = METRICS }: SqliteOptions) {
    this.#file = file
    this.#metrics = metrics
    this.#writerDb = access === 'write' ? openWriter(file) : null
  }

  async migrate(): Promise<void> {
    if (this.#writerDb === null) throw new Error('a store opened for reading does not migrate')
    const db = this.#writerDb
    attempt(() => migrate(db, this.#metrics, Date.now()))
    db.exec(`PRAGMA busy_timeout = ${WRITE_BUSY_TIMEOUT_MS}`)
    this.#writer = new SqliteWriter(db, this.#metrics)
  }

  async write(batch: WriteBatch): Promise<void> {
    const writer = this.#writer
    if (writer === null) throw new Error('call migrate() before write()')
    try {
      attempt(() => writer.write(batch))
    } catch (error) {
      if (!(error instanceof StorePoisonError)) throw error
      const { message, cause } = error
      throw new StorePoisonError(
        message,
        { cause },
        attempt(() => writer.findRefused(batch, reasonOfRefusal)),
      )
    }
  }

  async maintain(nowMs: number, keep: Retention): Promise<boolean> {
    const writer = this.#writer
    if (writer === null) throw new Error('call migrate() before maintain()')
    return attempt(() => writer.maintain(nowMs, keep))
  }

  async read<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    const reader = await this.#borrow()
    try {
      attempt(() => reader.db.exec('BEGIN'))
      return await work(reader.view)
    } catch (error) {
      throw asStoreError(error)
    } finally {
      if (reader.db.isTransaction) reader.db.exec('ROLLBACK')
      this.#giveBack(reader)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    for (const { db } of this.#idle.splice(0)) db.close()
    this.#writer = null
    if (this.#writerDb?.isOpen) this.#writerDb.close()
  }

  async #borrow(): Promise<Reader> {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
    while (this.#idle.length === 0 && this.#readers >= READERS) {
      if (this.#waiting.length >= WAITING_READS)
        throw new StoreError('STORE_BUSY', `${WAITING_READS} reads wait for the store already`, { retriable: true })
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.#idle.pop() ?? this.#openReader()
  }

  #giveBack(reader: Reader): void {
    if (this.#closed) reader.db.close()
    else this.#idle.push(reader)
    this.#waiting.shift()?.()
  }

  #openReader(): Reader {
    const db = attempt(() => new DatabaseSync(this.#file, { readOnly: true, timeout: BUSY_TIMEOUT_MS }))
    try {
      this.#ready ||= attempt(() => isMigrated(db, this.#metrics))
      if (!this.#ready)
        throw new StoreError('STORE_NOT_READY', 'the store has not been set up by the sink yet', { retriable: true })
    } catch (error) {
      db.close()
      throw error
    }
    this.#readers += 1
    return { db, view: new SqliteView(db, this.#metrics) }
  }
}

function openWriter(file: string): DatabaseSync {
  return attempt(() => {
    mkdirSync(dirname(file), { recursive: true })
    const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${WRITER_CACHE_KIB};
      PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`)
    return db
  })
}
