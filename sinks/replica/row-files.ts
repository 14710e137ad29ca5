// Appends rows to the files of a replica. Rows are buffered per file and written together; a checkpoint syncs what was
// written before it is recorded. The number of open files is bounded, however many sensors there are.
//
//   add     → in memory, at most FLUSH_CHARS plus one chunk
//   flush   → in the files: survives a killed process
//   commit  → flush, fsync every file and folder touched, then replace the state: survives a power cut
import { closeSync, constants, fstatSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { messageOf } from '../../platform/errors.ts'
import { FILE_MODE, makeFolder } from '../../platform/folders.ts'
import { ReplicaError, type ReplicaState, syncFolder, writeState } from './state.ts'

const FLUSH_CHARS = 1_048_576
const OPEN_FILES_MAX = 256
/** Files synced in one go; in between, other work gets a turn. */
const SYNC_SLICE = 32
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

export class RowFiles {
  readonly dir: string
  readonly #headers = new Map<string, string>()
  readonly #pending = new Map<string, string>()
  #pendingChars = 0
  #failure: unknown = null
  #touched = new Set<string>()
  /** Folders that contain a new file or folder. */
  #folders = new Set<string>()
  readonly #open = new LRUCache<string, number>({ max: OPEN_FILES_MAX, dispose: (fd) => closeSync(fd) })

  constructor(dir: string) {
    this.dir = dir
  }

  /** Whether a commit would have anything to save. */
  get isDirty(): boolean {
    return this.#pending.size > 0 || this.#touched.size > 0
  }

  /** @param header first line of the file if it is new */
  add(path: string, header: string, row: string): void {
    const before = this.#pending.get(path)
    if (before === undefined) this.#headers.set(path, header)
    this.#pending.set(path, before === undefined ? row : before + row)
    this.#pendingChars += row.length
  }

  /** Call after each chunk: writes when enough is buffered. */
  flushIfFull(): void {
    if (this.#pendingChars >= FLUSH_CHARS) this.flush()
  }

  flush(): void {
    this.#expectSound()
    try {
      for (const [path, rows] of this.#pending) {
        this.#touched.add(path)
        writeFileSync(this.#descriptor(path), rows)
      }
    } catch (error) {
      throw this.#fail(error)
    }
    this.#pending.clear()
    this.#headers.clear()
    this.#pendingChars = 0
  }

  /**
   * Makes everything added so far durable, then the state, which must describe exactly that. What is added
   * meanwhile is not covered by the state. One at a time.
   * @param breathe called between slices of the work
   */
  async commit(state: ReplicaState, breathe: () => Promise<void>): Promise<void> {
    this.flush()
    const files = [...this.#touched]
    const folders = [...this.#folders]
    this.#touched = new Set()
    this.#folders = new Set()
    try {
      await this.#makeSure(files, folders, breathe)
      // Another flush may have failed meanwhile: the previous state is still true.
      writeState(this.dir, state)
    } catch (error) {
      throw this.#fail(error)
    }
  }

  async #makeSure(files: readonly string[], folders: readonly string[], breathe: () => Promise<void>): Promise<void> {
    for (let from = 0; from < files.length; from += SYNC_SLICE) {
      if (from > 0) await breathe()
      for (const path of files.slice(from, from + SYNC_SLICE)) fsyncSync(this.#descriptor(path))
    }
    for (const folder of folders) syncFolder(folder)
  }

  /**
   * After a disk error the files are in doubt: a row may be partly written, or a later fsync may not report its loss.
   * The next run continues from the last checkpoint and truncates them.
   */
  #expectSound(): void {
    if (this.#failure === null) return
    throw new ReplicaError('WRITE_FAILED', `rows could not be written: ${messageOf(this.#failure)}`, {
      cause: this.#failure,
    })
  }

  #fail(error: unknown): unknown {
    this.#failure ??= error
    return error
  }

  /** What was not flushed is discarded. */
  close(): void {
    this.#open.clear()
  }

  #descriptor(path: string): number {
    const known = this.#open.get(path)
    if (known !== undefined) return known
    const file = join(this.dir, path)
    const fd = this.#openFile(file)
    this.#open.set(path, fd)
    if (fstatSync(fd).size === 0) {
      const header = this.#headers.get(path)
      if (header === undefined) throw new ReplicaError('FILE_GONE', `${file} was emptied by somebody else`)
      writeFileSync(fd, header)
      // The folders above may be new as well.
      for (let folder = dirname(path); ; folder = dirname(folder)) {
        this.#folders.add(join(this.dir, folder))
        if (folder === '.') break
      }
    }
    return fd
  }

  #openFile(file: string): number {
    try {
      return openSync(file, APPEND, FILE_MODE)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      makeFolder(dirname(file))
      return openSync(file, APPEND, FILE_MODE)
    }
  }
}
