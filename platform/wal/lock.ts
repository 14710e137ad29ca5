// One writer per log: a lock file that names its owner by process id, start time and boot. A lock left by a killed
// process is taken over; a process id alone would not do, since ids are used again.
import { closeSync, linkSync, openSync, readFileSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { WalError } from './format.ts'

interface Owner {
  readonly pid: number
  /** Start of the process in clock ticks since boot; empty where the system does not tell. */
  readonly start: string
  readonly boot: string
}

export interface WalLock {
  release(): void
}

const ATTEMPTS = 5

/** @throws WalError WAL_LOCKED when a living process holds it */
export function acquireLock(dir: string, boot = bootId()): WalLock {
  const file = join(dir, 'lock')
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (tryCreate(file, { pid: process.pid, start: startOf(process.pid), boot })) {
      return { release: () => unlinkSync(file) }
    }
    const owner = readOwner(file)
    if (owner === undefined) continue
    if (owner !== null && isAlive(owner, boot))
      throw new WalError('WAL_LOCKED', `${dir} is in use by process ${owner.pid}`)
    removeStale(file, owner)
  }
  throw new WalError('WAL_LOCKED', `${dir}: the lock changes hands too fast`, { retriable: true })
}

function tryCreate(file: string, owner: Owner): boolean {
  let fd: number
  try {
    fd = openSync(file, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
  writeSync(fd, JSON.stringify(owner))
  closeSync(fd)
  return true
}

/** The owner; null when the file says nothing readable (its writer was cut short); undefined when it is gone. */
function readOwner(file: string): Owner | null | undefined {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
  try {
    return JSON.parse(text) as Owner
  } catch {
    return null
  }
}

/** Moves the stale lock away; when another process has just taken over, its lock is put back. */
function removeStale(file: string, stale: Owner | null): void {
  const aside = `${file}.stale.${process.pid}`
  try {
    renameSync(file, aside)
  } catch {
    return
  }
  if (JSON.stringify(readOwner(aside)) !== JSON.stringify(stale)) linkSync(aside, file)
  unlinkSync(aside)
}

function isAlive(owner: Owner, boot: string): boolean {
  if (owner.boot !== boot) return false
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  return startOf(owner.pid) === owner.start
}

/** Field 22 of /proc/<pid>/stat, counted from the name on, which may contain spaces. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return ''
  }
}

export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
  } catch {
    return ''
  }
}
