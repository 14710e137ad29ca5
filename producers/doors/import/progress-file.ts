// Which log belongs to which import, and what must be the same when an interrupted one is continued: the shift of its times.
// One folder per run of a file; a run that was interrupted is continued, one that is complete is not repeated (unless
// its times are shifted to now: then they are new readings).
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface ImportRun {
  readonly dir: string
  readonly shiftMs: number
  /** When the run began, ms. */
  readonly begunAtMs: number
  readonly complete: boolean
}

const STATE_FILE = 'import.json'
/** Of the digest, in the folder's name. */
const DIGEST_CHARS = 16

/**
 * The run to continue, or a new one.
 * @param shifted times are moved to now
 * @param shiftMs for a new run
 */
export function findRun(dataDir: string, digest: string, shifted: boolean, shiftMs: number, nowMs: number): ImportRun {
  const parent = join(dataDir, 'wal', 'import')
  mkdirSync(parent, { recursive: true, mode: 0o700 })
  const prefix = `${digest.slice(0, DIGEST_CHARS)}-`
  const numbers = readdirSync(parent)
    .filter((name) => name.startsWith(prefix))
    .map((name) => Number(name.slice(prefix.length)))
  const last = Math.max(0, ...numbers)
  if (last > 0) {
    const run = readRun(join(parent, `${prefix}${last}`))
    if (run !== null && (!run.complete || !shifted)) return run
  }
  const run = { dir: join(parent, `${prefix}${last + 1}`), shiftMs, begunAtMs: nowMs, complete: false }
  mkdirSync(run.dir, { mode: 0o700 })
  writeRun(run)
  return run
}

export function markComplete(run: ImportRun): void {
  writeRun({ ...run, complete: true })
}

/** null when the process was killed before it had written anything there. */
function readRun(dir: string): ImportRun | null {
  try {
    const { shiftMs, begunAtMs, complete } = JSON.parse(readFileSync(join(dir, STATE_FILE), 'utf8')) as ImportRun
    return { dir, shiftMs, begunAtMs, complete }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

function writeRun({ dir, shiftMs, begunAtMs, complete }: ImportRun): void {
  const file = join(dir, STATE_FILE)
  writeFileSync(`${file}.tmp`, JSON.stringify({ shiftMs, begunAtMs, complete }), { flush: true, mode: 0o600 })
  renameSync(`${file}.tmp`, file)
}
