// The file replica.json in a replica's folder: it marks the folder as a replica's and says how far it is durable.
// Replaced atomically, so there is always a complete one.
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { messageOf, PlumblineError } from '../../platform/errors.ts'
import { FILE_MODE } from '../../platform/folders.ts'

export type ReplicaErrorCode =
  'FILE_GONE' | 'FOLDER_NOT_OURS' | 'LOCKED' | 'OTHER_REPLICA' | 'STATE_UNREADABLE' | 'WRITE_FAILED'

/** The replica's folder cannot be used; the message says what to do. */
export class ReplicaError extends PlumblineError<ReplicaErrorCode> {}

export const STATE_FILE = 'replica.json'

const whole = z.number().int().nonnegative()

const replicaState = z.object({
  format: z.literal(1),
  replica: z.string(),
  /** The first sequence it holds; above 0 where retention had removed the beginning. Null: not started. */
  first_sequence: whole.nullable(),
  /** All rows below it are on disk. Null: not started. */
  next_sequence: whole.nullable(),
  /** Where the preceding reading is, so that a recreated order is detected. */
  last: z.object({ partition: whole, offset: whole }).nullable(),
  /** By partition of telemetry.late: the first offset it holds and the one after the last on disk. */
  late_first: z.array(whole),
  late_next: z.array(whole),
})

export type ReplicaState = Readonly<z.infer<typeof replicaState>>

export const emptyState = (replica: string): ReplicaState => ({
  format: 1,
  replica,
  first_sequence: null,
  next_sequence: null,
  last: null,
  late_first: [],
  late_next: [],
})

/** Null if there is none. @throws ReplicaError STATE_UNREADABLE */
export function readState(dir: string): ReplicaState | null {
  const file = join(dir, STATE_FILE)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null
    throw error
  }
  try {
    return replicaState.parse(JSON.parse(text))
  } catch (error) {
    const why = error instanceof z.ZodError ? z.prettifyError(error).replaceAll('\n', ' ') : messageOf(error)
    throw new ReplicaError('STATE_UNREADABLE', `${file} is no state of a replica (${why}): remove its folder`)
  }
}

export function writeState(dir: string, state: ReplicaState): void {
  const file = join(dir, STATE_FILE)
  const fd = openSync(`${file}.new`, 'w', FILE_MODE)
  try {
    writeFileSync(fd, `${JSON.stringify(state, null, 2)}\n`)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(`${file}.new`, file)
  syncFolder(dirname(file))
}

/** Makes directory entries survive a power cut. */
export function syncFolder(dir: string): void {
  const fd = openSync(dir, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
