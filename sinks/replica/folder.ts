// A replica's folder before it is written to: is it ours, and where do we resume. It is cleared unless resuming;
// then every file is truncated after its last complete row below the checkpoint. Only a replica's files are removed.
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  unlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import { makeFolder } from '../../platform/folders.ts'
import { keptLength } from '../core/replica-cut.ts'
import { isOurs, partitionOfPath } from './file-names.ts'
import { emptyState, readState, ReplicaError, type ReplicaState, STATE_FILE, writeState } from './state.ts'

/** Whether the folder may be used. @throws ReplicaError FOLDER_NOT_OURS, OTHER_REPLICA, STATE_UNREADABLE */
export function inspectFolder(dir: string, replica: string): ReplicaState | null {
  const state = readState(dir)
  if (state !== null && state.replica !== replica)
    throw new ReplicaError(
      'OTHER_REPLICA',
      `${dir} belongs to the replica ${JSON.stringify(state.replica)}: choose another --dir, or remove it`,
    )
  if (state === null && existsSync(dir) && readdirSync(dir).some((entry) => entry !== `${STATE_FILE}.new`))
    throw new ReplicaError(
      'FOLDER_NOT_OURS',
      `${dir} is not empty and has no ${STATE_FILE}, so no replica has made it and none will clear it: choose another --dir or --id, or empty it`,
    )
  return state
}

/**
 * Prepares the folder and returns where to resume.
 * @param resume continue from its checkpoint; without one the replica starts over
 * @throws ReplicaError as for `inspectFolder`
 */
export function prepareFolder(dir: string, replica: string, resume: boolean): ReplicaState {
  const state = inspectFolder(dir, replica)
  makeFolder(dir)
  if (resume && state !== null && state.next_sequence !== null) {
    cutFiles(dir, state)
    return state
  }
  // The checkpoint goes first: if we are killed while clearing, the remaining files are ignored.
  const fresh = emptyState(replica)
  writeState(dir, fresh)
  for (const entry of readdirSync(dir)) if (isOurs(entry)) rmSync(join(dir, entry), { recursive: true })
  return fresh
}

/** Paths of all row files below a replica's folder, with forward slashes. */
export function rowFiles(dir: string, below = ''): string[] {
  return readdirSync(join(dir, below), { withFileTypes: true }).flatMap((entry) => {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (below === '' && !isOurs(entry.name)) return []
    if (entry.isDirectory()) return rowFiles(dir, path)
    return entry.isFile() && path.endsWith('.csv') ? [path] : []
  })
}

function cutFiles(dir: string, state: ReplicaState): void {
  for (const path of rowFiles(dir)) {
    const partition = partitionOfPath(path)
    const limit = partition === null ? state.next_sequence! : (state.late_next[partition] ?? 0)
    cutFile(join(dir, path), limit)
  }
}

function cutFile(file: string, limit: number): void {
  const fd = openSync(file, 'r+')
  let kept: number
  try {
    const { size } = fstatSync(fd)
    kept = keptLength(size, (from, to) => readExactly(fd, from, to), limit)
    if (kept > 0 && kept < size) {
      ftruncateSync(fd, kept)
      fsyncSync(fd)
    }
  } finally {
    closeSync(fd)
  }
  // An uninterrupted run creates a file with its first row.
  if (kept === 0) unlinkSync(file)
}

function readExactly(fd: number, from: number, to: number): Buffer {
  const bytes = Buffer.alloc(to - from)
  for (let at = 0; at < bytes.length;) {
    const count = readSync(fd, bytes, at, bytes.length - at, from + at)
    if (count === 0) break
    at += count
  }
  return bytes
}
