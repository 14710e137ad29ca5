// What an operator can do something about, as one line that says what to do: a full disk, a missing permission, a path
// that is a file, a broken store file, a malformed CSV. One place for all of them, for commands and processes; whatever is
// not listed is a bug and keeps its stack.
import { messageOf, PlumblineError } from './errors.ts'

interface SystemError {
  readonly code?: unknown
  readonly errcode?: unknown
  readonly path?: unknown
  readonly cause?: unknown
}

/** By the names of errno(3). */
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: make room, then run it again',
  EDQUOT: 'the disk quota is used up: make room, then run it again',
  EACCES: 'no permission: change its owner or mode, or choose another place',
  EPERM: 'not permitted: change its owner or mode, or choose another place',
  EROFS: 'the file system is read-only: choose another place',
  ENOTDIR: 'part of the path is a file, not a folder: check DATA_DIR and the path',
  EISDIR: 'it is a folder, and a file is needed: check the path',
  EEXIST: 'it exists already and is not a folder: check DATA_DIR and the path',
  ENOENT: 'there is no such file or folder: check the path',
  EMFILE: 'too many open files: raise the limit (ulimit -n)',
  ENFILE: 'the system has too many open files',
  ELOOP: 'the path is a loop of links',
  ENAMETOOLONG: 'the path is too long',
}

/** SQLite's primary result codes. */
const SQLITE_ADVICE: Readonly<Record<number, string>> = {
  8: 'the store file is read-only: change its owner or mode',
  10: 'the disk failed while the store file was used: see the system log',
  11: 'the store file is damaged: put it aside; the sink fills a new one from Kafka',
  13: 'the disk is full: make room, then run it again',
  14: 'a database file cannot be opened: check that DATA_DIR and SQLITE_FILE are writable',
  23: 'a database file may not be used: check its owner and mode',
  26: 'SQLITE_FILE is not a SQLite file: check the path',
}

/** Causes of causes that are looked at. */
const DEPTH_MAX = 8

/** The line for the operator; null: a bug, show the stack. */
export function operatorMessage(error: unknown): string | null {
  if (error instanceof PlumblineError) return error.message
  let at: unknown = error
  for (let depth = 0; depth < DEPTH_MAX && at instanceof Error; depth += 1, at = at.cause) {
    const advice = adviceOf(at)
    if (advice !== null) return advice
  }
  return null
}

function adviceOf(error: Error): string | null {
  const { code, errcode, path } = error as SystemError
  if (code === 'ERR_SQLITE_ERROR' && typeof errcode === 'number') {
    const advice = SQLITE_ADVICE[errcode & 0xff]
    return advice === undefined ? null : `${advice} (${messageOf(error)})`
  }
  if (typeof code !== 'string') return null
  if (code.startsWith('CSV_')) return `the CSV is malformed: ${messageOf(error)}`
  const advice = ADVICE[code]
  if (advice === undefined) return null
  return typeof path === 'string' ? `${path}: ${advice} (${code})` : `${advice} (${messageOf(error)})`
}
