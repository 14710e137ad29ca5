// A resumable export into a file: next to it is FILE.checkpoint, which says how long the file was when the
// offsets that it names had been reached. Resuming truncates the file to that length, so that no line is duplicated
// or torn. The data are synced before the checkpoint says so, and the checkpoint is replaced atomically.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { type FileHandle, open, rename, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { z } from 'zod'
import { InputError, messageOf } from '../../platform/errors.ts'
import { tryFileLock } from '../../platform/file-lock.ts'
import { type ExportFormat, exportHeader } from './core/line.ts'
import type { PartitionPlace } from './partition.ts'
import type { ExportSink, ExportState } from './run.ts'
import { CommandError } from '../core/errors.ts'

/** The most that is rewritten after a kill. */
const CHECKPOINT_MS = 1_000

const offset = z.number().int().min(0)
const checkpointType = z.object({
  version: z.literal(1),
  node: z.string(),
  format: z.enum(['jsonl', 'csv']),
  since_ms: z.number().nullable(),
  /** Bytes of the file. */
  length: offset,
  lines: offset,
  /** All up to the ends has been written. */
  complete: z.boolean(),
  places: z.array(z.object({ topic: z.string(), partition: offset, next: offset, end: offset })),
})
export type Checkpoint = z.output<typeof checkpointType>

/** Identifies the export: resuming a different one would mix them. */
export interface ExportSubject {
  readonly node: string
  readonly format: ExportFormat
  readonly since_ms: number | null
}

const checkpointOf = (file: string): string => `${file}.checkpoint`

/**
 * The checkpoint to resume from; null: there is nothing yet.
 * @param resume otherwise there must be no file
 * @throws InputError that says what prevents it
 */
export function readCheckpoint(
  file: string,
  resume: boolean,
  subject: Pick<ExportSubject, 'node' | 'format'>,
): Checkpoint | null {
  const size = sizeOf(file)
  if (!resume) {
    if (size === null) return null
    throw new InputError('EXISTS', 'out', `${file} is there already: continue it by --resume, or remove it first`)
  }
  if (!existsSync(checkpointOf(file))) {
    if (size === null) return null
    throw new InputError('NO_CHECKPOINT', 'out', `${file} has no ${checkpointOf(file)}: it cannot be gone on with`)
  }
  const checkpoint = parse(file)
  for (const name of ['node', 'format'] as const)
    if (checkpoint[name] !== subject[name])
      throw new InputError(
        'OTHER_EXPORT',
        name,
        `${file} was begun with ${name} ${JSON.stringify(checkpoint[name])}, not ${JSON.stringify(subject[name])}`,
      )
  if ((size ?? 0) < checkpoint.length)
    throw new InputError(
      'CHANGED',
      'out',
      `${file} has ${size ?? 0} bytes, its checkpoint says ${checkpoint.length}: somebody has changed it`,
    )
  return checkpoint
}

function parse(file: string): Checkpoint {
  try {
    return checkpointType.parse(JSON.parse(readFileSync(checkpointOf(file), 'utf8')))
  } catch (cause) {
    throw new InputError('CHECKPOINT', 'out', `${checkpointOf(file)} cannot be read: ${messageOf(cause)}`)
  }
}

/** Null if there is no file. */
function sizeOf(file: string): number | null {
  const stat = statSync(file, { throwIfNoEntry: false })
  if (stat === undefined) return null
  if (!stat.isFile()) throw new InputError('NO_FILE', 'out', `${file} is not a file`)
  return stat.size
}

export class ExportFile implements ExportSink {
  readonly #file: string
  readonly #subject: ExportSubject
  readonly #handle: FileHandle
  readonly #unlock: () => void
  #length: number
  #lines: number
  #savedAt = -Infinity

  private constructor(file: string, subject: ExportSubject, handle: FileHandle, unlock: () => void, from: Checkpoint) {
    this.#file = file
    this.#subject = subject
    this.#handle = handle
    this.#unlock = unlock
    this.#length = from.length
    this.#lines = from.lines
  }

  /** Locks the file for this export alone. @throws PlumblineError LOCKED */
  static lock(file: string): () => void {
    const unlock = tryFileLock(join(dirname(file), `.${basename(file)}.lock`))
    if (unlock === null) throw new CommandError('LOCKED', `another export writes ${file} at the moment`)
    return unlock
  }

  /**
   * Opens the file, truncated to the checkpoint; a new one gets its checkpoint first, so that it is resumable from its
   * first byte.
   */
  static async open(
    file: string,
    subject: ExportSubject,
    former: Checkpoint | null,
    places: readonly PartitionPlace[],
    unlock: () => void,
  ): Promise<ExportFile> {
    const fresh: Checkpoint = { ...subject, version: 1, length: 0, lines: 0, complete: false, places: [...places] }
    const from = former ?? fresh
    if (former === null) await save(file, fresh)
    const handle = await open(file, 'a')
    await handle.truncate(from.length)
    const opened = new ExportFile(file, subject, handle, unlock, from)
    if (from.length === 0) await opened.write(exportHeader(subject.format), 0)
    return opened
  }

  get lines(): number {
    return this.#lines
  }

  async write(text: string, lines: number): Promise<void> {
    const bytes = Buffer.from(text)
    await this.#handle.appendFile(bytes)
    this.#length += bytes.length
    this.#lines += lines
  }

  async reached(places: readonly PartitionPlace[], state: ExportState): Promise<void> {
    const now = performance.now()
    if (state === 'underway' && now - this.#savedAt < CHECKPOINT_MS) return
    this.#savedAt = now
    await this.#handle.datasync()
    const said = { length: this.#length, lines: this.#lines, complete: state === 'complete', places: [...places] }
    await save(this.#file, { version: 1, ...this.#subject, ...said })
  }

  async close(): Promise<void> {
    await this.#handle.close()
    this.#unlock()
  }
}

async function save(file: string, checkpoint: Checkpoint): Promise<void> {
  const path = checkpointOf(file)
  await writeFile(`${path}.new`, `${JSON.stringify(checkpoint)}\n`, { flush: true })
  await rename(`${path}.new`, path)
}
