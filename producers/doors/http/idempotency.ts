// Idempotency-Key: a POST that is repeated with its key is taken once. What is kept per key: a digest of the body, how many
// of its readings are in the log, and the answer once the whole body was read. It is kept in a file in the log's folder
// and survives a restart with the log: a key is written down with the log's end before its readings are, and requests
// are taken one after the other, so what the log holds beyond that place belongs to the key. The newest KEYS_MAX keys
// are known; a repeat after that many others is a new request.
import { createHash } from 'node:crypto'
import { closeSync, fdatasyncSync, openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { InputError } from '../../../platform/errors.ts'
import type { Wal } from '../../../platform/wal/wal.ts'

export const KEYS_MAX = 10_000
const FILE = 'idempotency-keys'
const KEY_PATTERN = /^[\x21-\x7e]{1,255}$/
/** Lines after which the file is rewritten with the keys that are still known. */
const LINES_MAX = 4 * KEYS_MAX

export interface StoredAnswer {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
}

interface Entry {
  readonly key: string
  readonly digest: string
  /** Readings of the body that are in the log. */
  readonly taken: number
  readonly answer: StoredAnswer | null
  /** Being taken: the log's end when it began. */
  readonly from?: number
}

export class IdempotencyKeys {
  readonly #file: string
  readonly #forces: boolean
  readonly #entries = new Map<string, Entry>()
  #fd: number
  #lines = 0

  /** @param forces whether what is answered must survive a power cut (WAL_FSYNC_MS=0) */
  constructor(wal: Wal, forces: boolean) {
    this.#file = join(wal.dir, FILE)
    this.#forces = forces
    for (const entry of readEntries(this.#file)) this.#remember(entry)
    for (const [key, { from, ...entry }] of this.#entries)
      if (from !== undefined)
        this.#entries.set(key, { ...entry, taken: entry.taken + Math.max(0, wal.appended - from) })
    this.#fd = this.#rewrite()
  }

  /**
   * What is known of a key; null when nothing is.
   * @throws InputError IDEMPOTENCY_KEY when it is malformed or was used with another body
   */
  find(key: string, digest: string): { readonly taken: number; readonly answer: StoredAnswer | null } | null {
    if (!KEY_PATTERN.test(key))
      throw new InputError(
        'IDEMPOTENCY_KEY',
        'Idempotency-Key',
        'Idempotency-Key must have 1 to 255 printable ASCII characters without spaces',
      )
    const entry = this.#entries.get(key)
    if (entry !== undefined && entry.digest !== digest)
      throw new InputError('IDEMPOTENCY_KEY', 'Idempotency-Key', 'this Idempotency-Key was used with another body')
    return entry ?? null
  }

  /** Before the first reading of a request is taken. */
  begin(key: string, digest: string, taken: number, from: number): void {
    this.#write({ key, digest, taken, answer: null, from })
  }

  /** @param answer null when part of the body is still to be sent with the same key */
  end(key: string, digest: string, taken: number, answer: StoredAnswer | null): void {
    this.#write({ key, digest, taken, answer })
    if (this.#forces) fdatasyncSync(this.#fd)
  }

  close(): void {
    closeSync(this.#fd)
  }

  #write(entry: Entry): void {
    if (this.#lines >= LINES_MAX) {
      const former = this.#fd
      this.#fd = this.#rewrite()
      closeSync(former)
    }
    // First: within the process the key must be known even if the disk refuses it.
    this.#remember(entry)
    writeSync(this.#fd, `${JSON.stringify(entry)}\n`)
    this.#lines += 1
  }

  #remember(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#entries.set(entry.key, entry)
    for (const [oldest] of this.#entries) {
      if (this.#entries.size <= KEYS_MAX) return
      this.#entries.delete(oldest)
    }
  }

  #rewrite(): number {
    const lines = [...this.#entries.values()].map((entry) => `${JSON.stringify(entry)}\n`)
    writeFileSync(`${this.#file}.tmp`, lines.join(''), { mode: 0o600, flush: true })
    renameSync(`${this.#file}.tmp`, this.#file)
    this.#lines = lines.length
    return openSync(this.#file, 'a', 0o600)
  }
}

function readEntries(file: string): Entry[] {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
  // The last line may be cut short, by a kill: it was not answered then.
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Entry]
    } catch {
      return []
    }
  })
}

export const digestOf = (type: string, body: unknown): string =>
  createHash('sha256')
    .update(`${type}\n`)
    .update(Buffer.isBuffer(body) ? body : '')
    .digest('base64')
