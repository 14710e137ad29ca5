// The embedded store: one SQLite file in WAL mode, by node:sqlite. One process writes (the sink); any number may read
// at the same time without waiting, each read on a consistent state.
//
// Durability: `synchronous` is NORMAL. A killed process loses nothing that `write` resolved. A power cut may lose the
// latest transactions, but rows and offsets share a transaction, so they are lost together: the sink then continues
// from the older offsets and Kafka, which still has the records, brings the rows back. FULL would cost one fsync per
// batch and gain nothing.
//
// A file that is replaced or removed while it is open would answer for ever, and take rows that nobody sees again. So
// it is looked at once a second, and opened again when it is another one: the sink then finds other progress and
// continues from there.
import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { METRICS, type Metric } from '../../../schemas/metrics.ts'
import { StoreError } from '../../errors.ts'
import { makeFile, makeFolder } from '../../folders.ts'
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
/** How often the file is looked at, ms: one that was replaced answers no longer than this. */
const LOOK_EVERY_MS = 1_000
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
  /** Of the file that it has open, see identityOf. */
  readonly identity: string
}

interface Writer {
  readonly db: DatabaseSync
  readonly writer: SqliteWriter
  readonly identity: string | null
}

export class SqliteStore implements Store {
  readonly #file: string
  readonly #metrics: readonly Metric[]
  readonly #access: 'write' | 'read'
  #writer: Writer | null = null
  #isSetUp = false
  /** Which file is at the path, as of the latest look. */
  #identity: string | null = null
  #lookedAtMs = -Infinity
  #ready = false
  readonly #idle: Reader[] = []
  #readers = 0
  readonly #waiting: (() => void)[] = []
  #closed = false

  /** Opens nothing yet. */
  constructor({ file, access, metrics = METRICS }: SqliteOptions) {
    this.#file = file
    this.#metrics = metrics
    this.#access = access
  }

  async migrate(): Promise<void> {
    if (this.#access === 'read') throw new Error('a store opened for reading does not migrate')
    if (this.#writer === null) this.#openWriter()
    else attempt(this.#file, () => migrate(this.#writer!.db, this.#metrics, Date.now()))
  }

  async write(batch: WriteBatch): Promise<void> {
    const writer = this.#writerNow('write')
    try {
      attempt(this.#file, () => writer.write(batch))
    } catch (error) {
      if (!(error instanceof StorePoisonError)) throw error
      const { message, cause } = error
      const reasonOf = (refusal: unknown): string | null => reasonOfRefusal(this.#file, refusal)
      const refused = attempt(this.#file, () => writer.findRefused(batch, reasonOf))
      throw new StorePoisonError(message, { cause }, refused)
    }
  }

  async maintain(nowMs: number, keep: Retention): Promise<boolean> {
    const writer = this.#writerNow('maintain')
    return attempt(this.#file, () => writer.maintain(nowMs, keep))
  }

  async read<T>(work: (view: StoreView) => Promise<T>): Promise<T> {
    const reader = await this.#borrow()
    try {
      attempt(this.#file, () => reader.db.exec('BEGIN'))
      return await work(reader.view)
    } catch (error) {
      throw asStoreError(this.#file, error)
    } finally {
      if (reader.db.isTransaction) reader.db.exec('ROLLBACK')
      this.#giveBack(reader)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#isSetUp = false
    for (const { db } of this.#idle.splice(0)) db.close()
    this.#closeWriter()
  }

  #writerNow(what: string): SqliteWriter {
    if (!this.#isSetUp) throw new Error(`call migrate() before ${what}()`)
    if (this.#writer !== null && this.#look() === this.#writer.identity) return this.#writer.writer
    this.#closeWriter()
    return this.#openWriter()
  }

  #openWriter(): SqliteWriter {
    return attempt(this.#file, () => {
      const db = openForWriting(this.#file)
      try {
        migrate(db, this.#metrics, Date.now())
        db.exec(`PRAGMA busy_timeout = ${WRITE_BUSY_TIMEOUT_MS}`)
        const writer = new SqliteWriter(db, this.#metrics)
        this.#writer = { db, writer, identity: identityOf(this.#file) }
        this.#isSetUp = true
        this.#lookedAtMs = -Infinity
        return writer
      } catch (error) {
        db.close()
        throw error
      }
    })
  }

  #closeWriter(): void {
    if (this.#writer?.db.isOpen) this.#writer.db.close()
    this.#writer = null
  }

  /** Which file is there now, looked at now and then. Readers of another one are closed when they are free. */
  #look(): string | null {
    const nowMs = performance.now()
    if (nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return this.#identity
    this.#lookedAtMs = nowMs
    const identity = identityOf(this.#file)
    if (identity !== this.#identity) this.#ready = false
    this.#identity = identity
    for (const reader of this.#idle.splice(0)) this.#giveBack(reader)
    return identity
  }

  async #borrow(): Promise<Reader> {
    if (this.#closed) throw new StoreError('STORE_CLOSED', 'the store is closed')
    this.#look()
    while (this.#idle.length === 0 && this.#readers >= READERS) {
      if (this.#waiting.length >= WAITING_READS)
        throw new StoreError('STORE_BUSY', `${WAITING_READS} reads wait for the store already`, { retriable: true })
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    return this.#idle.pop() ?? this.#openReader()
  }

  #giveBack(reader: Reader): void {
    if (this.#closed || reader.identity !== this.#identity) {
      reader.db.close()
      this.#readers -= 1
    } else this.#idle.push(reader)
    this.#waiting.shift()?.()
  }

  #openReader(): Reader {
    const identity = identityOf(this.#file) ?? ''
    this.#identity = identity
    const db = attempt(this.#file, () => new DatabaseSync(this.#file, { readOnly: true, timeout: BUSY_TIMEOUT_MS }))
    try {
      this.#ready ||= attempt(this.#file, () => isMigrated(db, this.#metrics))
      if (!this.#ready)
        throw new StoreError('STORE_NOT_READY', `the sink has not set up the store ${this.#file} yet`, {
          retriable: true,
        })
    } catch (error) {
      db.close()
      throw error
    }
    this.#readers += 1
    return { db, view: new SqliteView(db, this.#metrics), identity }
  }
}

/** Device and inode; null where there is no file. */
function identityOf(file: string): string | null {
  const stat = statSync(file, { throwIfNoEntry: false })
  return stat === undefined ? null : `${stat.dev}:${stat.ino}`
}

function openForWriting(file: string): DatabaseSync {
  makeFolder(dirname(file))
  // SQLite gives its further files the rights of this one.
  makeFile(file)
  const db = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS })
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cache_size = -${WRITER_CACHE_KIB};
    PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}; PRAGMA journal_size_limit = ${WAL_LIMIT_BYTES}`)
  return db
}
