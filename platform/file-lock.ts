// A lock between processes that the kernel releases when its holder dies, so that it can't be left behind. Node has no
// flock; SQLite's exclusive transaction is one, on every system and without a package.
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import { makeFile, makeFolder } from './folders.ts'

const POLL_MS = 200
const SQLITE_BUSY = 5

/** Runs `work` while no other process holds the lock at `path`; waits for its turn as long as it takes. */
export async function withFileLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  makeFolder(dirname(path))
  makeFile(path)
  const lock = new DatabaseSync(path, { timeout: 0 })
  try {
    while (!tryLock(lock)) await delay(POLL_MS)
    return await work()
  } finally {
    lock.close()
  }
}

/** Takes the lock at `path` if it is free. Returns what releases it, or null while another process holds it. */
export function tryFileLock(path: string): (() => void) | null {
  makeFolder(dirname(path))
  makeFile(path)
  const lock = new DatabaseSync(path, { timeout: 0 })
  if (tryLock(lock)) return () => lock.close()
  lock.close()
  return null
}

function tryLock(lock: DatabaseSync): boolean {
  try {
    lock.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    if ((error as { errcode?: number }).errcode === SQLITE_BUSY) return false
    throw error
  }
}
