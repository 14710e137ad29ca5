// Appends rows to the files of a replica. Rows are gathered per file and written together; a checkpoint forces what was
// written to disk before it says so. Open files are bounded, however many sensors there are.
//
//   add     → in memory, at most FLUSH_CHARS and what one chunk brings
//   flush   → in the files, as a killed process leaves them
//   commit  → flush, force every file and folder that was touched to disk, then replace the state: a power cut is met, too
import { closeSync, constants, fstatSync, fsyncSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { messageOf } from '../../platform/errors.ts'
import { FILE_MODE, makeFolder } from '../../platform/folders.ts'
import { ReplicaError, type ReplicaState, syncFolder, writeState } from './state.ts'

const FLUSH_CHARS = 1_048_576
const OPEN_FILES_MAX = 256
/** Files forced to disk in one go; in between others get their turn. */
const SYNC_SLICE = 32
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW

export class RowFiles {
  readonly dir: string
  readonly #headers = new Map<string, string>()
  readonly #pending = new Map<string, string>()
  #pendingChars = 0
  #failure: unknown = null
  #touched = new Set<string>()
  /** With a file or a folder that is new. */
  #folders = new Set<string>()
  readonly #open = new LRUCache<string, number>({ max: OPEN_FILES_MAX, dispose: (fd) => closeSync(fd) })

  constructor(dir: string) {
    this.dir = dir
  }

  /** Whether there is anything that a commit would have to save. */
  get isDirty(): boolean {
    return this.#pending.size > 0 || this.#touched.size > 0
  }

  /** @param header first line of the file, should it be new */
  add(path: string, header: string, row: string): void {
    const before = this.#pending.get(path)
    if (before === undefined) this.#headers.set(path, header)
    this.#pending.set(path, before === undefined ? row : before + row)
    this.#pendingChars += row.length
  }

  /** Call it after each chunk: writes when enough has gathered. */
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
   * Makes everything that was added so far sure, then the state, which must describe exactly that. What is added
   * meanwhile comes after the state. One at a time.
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
      // Another flush may have failed meanwhile: the state in front of it is still true.
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
   * What an error of the disk leaves is unknown: rows that are in a file in part, or that a later fsync no longer tells of.
   * The next run continues from the last checkpoint, which cuts them off.
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

  /** What was not flushed is gone. */
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
