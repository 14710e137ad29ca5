// The running instance of a data folder: one file that says where its parts are, so that `status`, `topics` and the
// rest find it, and a lock that the kernel releases when the instance dies, however it dies. The file of a killed
// instance remains; it names the processes that the next one waits for.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { tryFileLock } from '../../platform/file-lock.ts'
import { DeployError } from '../errors.ts'

export interface ServiceRecord {
  readonly name: string
  readonly service: string
  /** From the root of the checkout: part of its command line. */
  readonly main: string
  readonly pid: number
  /** Where it serves health and metrics. */
  readonly url: string
  /** How often it has been restarted. */
  readonly restarts: number
}

export interface Instance {
  /** Of the process that runs `up`. */
  readonly pid: number
  readonly startedMs: number
  /** Settings with which the parts are found. */
  readonly addresses: Readonly<Record<string, string>>
  readonly services: readonly ServiceRecord[]
}

/** Part of the command line of the process that runs `up`. */
const MAIN = 'cli/main.ts'

const fileOf = (dataDir: string): string => join(dataDir, 'up.json')

/** What the last instance of this folder wrote down, whether or not it still runs; null: there was none. */
export function readRecord(dataDir: string): Instance | null {
  try {
    return JSON.parse(readFileSync(fileOf(dataDir), 'utf8')) as Instance
  } catch {
    return null
  }
}

/** The running instance on this folder; null if there is none. */
export function readInstance(dataDir: string): Instance | null {
  const record = readRecord(dataDir)
  return record !== null && isRunning(record.pid, MAIN) ? record : null
}

export interface Claim {
  /** Replaces the file at once, so that a reader never sees half of it. */
  write(instance: Instance): void
  /** Removes the file and releases the folder. */
  release(): void
}

const STICKY = 0o1000

/** @throws PlumblineError ALREADY_RUNNING */
export function claimInstance(dataDir: string): Claim {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  // Also one created by an earlier version; but never a deliberately shared folder such as /tmp.
  const isShared = (statSync(dataDir).mode & STICKY) !== 0
  if (existsSync(join(dataDir, 'up.lock')) && !isShared) chmodSync(dataDir, 0o700)
  const unlock = tryFileLock(join(dataDir, 'up.lock'))
  if (unlock === null) {
    const holder = readRecord(dataDir)
    const who = holder === null ? '' : ` (process ${holder.pid})`
    throw new DeployError(
      'ALREADY_RUNNING',
      `Plumbline already runs on ${dataDir}${who}: see "plumbline status", stop it by Ctrl-C, or set DATA_DIR and other ports`,
    )
  }
  const file = fileOf(dataDir)
  return {
    write(instance) {
      writeFileSync(`${file}.new`, `${JSON.stringify(instance, null, 2)}\n`)
      renameSync(`${file}.new`, file)
    },
    release() {
      rmSync(file, { force: true })
      unlock()
    },
  }
}

/**
 * Whether this process runs and is the intended one: the process id may have been reused since.
 * @param part of its command line; without /proc the id alone has to do
 */
export function isRunning(pid: number, part: string): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(part)
  } catch {
    return !existsSync('/proc/self/cmdline')
  }
}
