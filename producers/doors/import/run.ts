// Imports a file: survey, then the same way as every reading, through a write-ahead log of its own to the broker. The
// log's length says how many of the file's readings are in, so an import that was killed continues where it stopped and
// doubles nothing.
import { setTimeout as delay } from 'node:timers/promises'
import type avsc from 'avsc'
import { sensorKey } from '../../../platform/codec/identity.ts'
import { InputError } from '../../../platform/errors.ts'
import { EntryBatch } from '../../../platform/wal/entry-batch.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { Outbox } from '../../outbox.ts'
import type { CheckedReading } from '../reading-check.ts'
import { type FileOptions, readReadings, type Survey } from './survey.ts'

export interface ImportOptions extends FileOptions {
  readonly outbox: Outbox
  readonly type: avsc.Type
  readonly schemaId: number
  readonly shiftMs: number
  /** When the run began, ms: what counts as the future must not change when it is continued. */
  readonly begunAtMs: number
  /** Readings per second; undefined: as fast as they are taken. */
  readonly ratePerS: number | undefined
  readonly clock: Clock
  readonly onProgress: () => void
}

/** A paced import writes this often, so that readings arrive evenly. */
const PACE_MS = 50
const FULL_WAIT_MS = 50

/** @throws InputError TOO_MANY_ERRORS, naming the first */
export function checkSurvey(survey: Survey, maxErrors: number): void {
  const { readings, rejected, empty, errors } = survey
  const [first] = errors
  if (rejected - empty > maxErrors)
    throw new InputError(
      'TOO_MANY_ERRORS',
      'max-errors',
      `${rejected - empty} rows are not valid readings; the limit is ${maxErrors}. The first is line ${first.line}: ${first.message}. Nothing was imported`,
    )
  if (readings === 0)
    throw new InputError(
      'NO_READINGS',
      'file',
      `the file has no readings${reasons(survey)}; "plumbline import FILE --preview" shows what is made of it`,
    )
}

function reasons({ rejected, filtered, unmapped }: Survey): string {
  const parts = [
    rejected > 0 ? `${rejected} rows were rejected` : '',
    filtered > 0 ? `${filtered} were left out by --where` : '',
    unmapped.size > 0 ? `${unmapped.size} names have no metric` : '',
  ].filter((part) => part !== '')
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`
}

/**
 * Takes the file's readings into the log, beginning after those it has already. Returns when the log has all of them
 * or the signal fires.
 */
export async function importReadings(options: ImportOptions, signal: AbortSignal): Promise<void> {
  const { outbox, clock } = options
  const writer = new ImportWriter(options, signal)
  const skipped = outbox.wal.appended
  const begun = clock.mono()
  let index = 0
  const listener = { onError: () => undefined }
  for await (const batch of readReadings(options, options.shiftMs, options.begunAtMs, listener)) {
    for (const checked of batch) {
      index += 1
      if (index <= skipped) continue
      if (signal.aborted) break
      writer.add(checked)
      const dueMs =
        options.ratePerS === undefined ? 0 : ((index - skipped) * 1000) / options.ratePerS - (clock.mono() - begun)
      if (writer.isLong || dueMs > PACE_MS) await writer.write()
      if (dueMs > PACE_MS) await delay(dueMs, undefined, { signal }).catch(() => undefined)
    }
    if (signal.aborted) break
  }
  await writer.write()
}

class ImportWriter {
  readonly #options: ImportOptions
  readonly #signal: AbortSignal
  readonly #batch: EntryBatch

  constructor(options: ImportOptions, signal: AbortSignal) {
    this.#options = options
    this.#signal = signal
    this.#batch = new EntryBatch(options.type, options.schemaId)
  }

  get isLong(): boolean {
    return this.#batch.byteLength >= this.#options.outbox.wal.batchBytes
  }

  add({ reading, numbered }: CheckedReading): void {
    const { wal } = this.#options.outbox
    const key = sensorKey(reading.tenant_id, reading.sensor_id)
    this.#batch.add(numbered ? wal.foreignLane(key, reading.epoch) : wal.lane(key), reading)
  }

  /** Waits while the log is full; on the signal what it has not taken is left for the next run. */
  async write(): Promise<void> {
    const { outbox, clock, onProgress } = this.#options
    while (!outbox.wal.hasRoom(this.#batch.byteLength)) {
      if (this.#signal.aborted) return this.#batch.rollback()
      await delay(FULL_WAIT_MS)
    }
    outbox.accept(this.#batch, clock.mono())
    if (outbox.wal.accepted < outbox.wal.appended) await outbox.wal.sync()
    onProgress()
  }
}
