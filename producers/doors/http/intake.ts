// Takes the readings of one request into the log, line by line, in turns of a few milliseconds. Whatever happens, a full
// log or an error of ours, `nextLine` says from which line on nothing was taken: lines before it are in the log or were
// refused, and numbers that were staged for those after it go back.
import { setImmediate } from 'node:timers/promises'
import type avsc from 'avsc'
import type { Clock } from '../../../platform/clock.ts'
import { sensorKey } from '../../../platform/codec/identity.ts'
import { InputError, messageOf } from '../../../platform/errors.ts'
import { EntryBatch } from '../../../platform/wal/entry-batch.ts'
import { WalError } from '../../../platform/wal/format.ts'
import type { Outbox } from '../../outbox.ts'
import type { TimeBounds } from '../event-time.ts'
import { checkReading } from '../reading-check.ts'
import { type Body, parseLine } from './body.ts'

export interface IntakeOptions {
  readonly outbox: Outbox
  readonly nodeId: string
  readonly clock: Clock
  readonly bounds: TimeBounds
  readonly type: avsc.Type
  readonly schemaId: number
  readonly onAccepted: (readings: number) => void
}

export interface Rejection {
  /** From 1: line of NDJSON, element of an array. */
  readonly line: number
  readonly field: string
  readonly code: string
  readonly message: string
}

/** Why lines were left: the client may send them again from `nextLine` on. */
export type Halt =
  | { readonly kind: 'full'; readonly reason: string }
  | { readonly kind: 'too many rejections' }
  | { readonly kind: 'failed'; readonly error: unknown }

/** After so many refused lines the rest is not looked at: it is another format, not readings with a mistake here and there. */
const REJECTIONS_MAX = 1_000
/** The nodes sample every few ms: a long body works in turns of this length. */
const TURN_MS = 10
const LINES_PER_LOOK = 16

export class Intake {
  readonly rejected: Rejection[] = []
  /** Readings of the body that the log has, those of an earlier try with the same key included. */
  accepted = 0
  halt: Halt | null = null
  /** Sensors whose readings were staged, in the log or not. */
  readonly sensors = new Set<string>()
  /** A reading brought numbers of its own. */
  hasNumbers = false
  readonly #options: IntakeOptions
  readonly #batch: EntryBatch
  /** Readings that an earlier try with the same key has taken already. */
  #skip: number
  /** First line that is neither in the log nor refused. */
  #nextLine = 1

  constructor(options: IntakeOptions, skip: number) {
    this.#options = options
    this.#batch = new EntryBatch(options.type, options.schemaId)
    this.#skip = skip
  }

  /** First line that was not taken; null when all were read. */
  get nextLine(): number | null {
    return this.halt === null ? null : this.#nextLine
  }

  async run(body: Body): Promise<void> {
    try {
      await this.#read(body)
    } catch (error) {
      this.halt = { kind: 'failed', error }
    }
    this.#batch.rollback()
    // A client that sends from `nextLine` on is told of these again.
    if (this.halt !== null) while ((this.rejected.at(-1)?.line ?? 0) >= this.#nextLine) this.rejected.pop()
  }

  async #read(body: Body): Promise<void> {
    const { clock, outbox } = this.#options
    let line = 0
    let begun = clock.mono()
    for (const text of body.lines()) {
      line += 1
      this.#take(text, line, body.isDamaged)
      if (this.halt !== null) return
      if (line % LINES_PER_LOOK !== 0 || clock.mono() - begun < TURN_MS) continue
      // Nothing stays staged meanwhile.
      if (!this.#write(line + 1)) return
      await setImmediate()
      begun = clock.mono()
    }
    if (!this.#write(line + 1)) return
    // Without this only a killed process is survived; with WAL_FSYNC_MS=0 a power cut as well.
    if (outbox.wal.accepted < outbox.wal.appended) await outbox.wal.sync()
  }

  #take(text: string, line: number, isDamaged: boolean): void {
    if (text.trim() === '') return
    try {
      this.#add(parseLine(text, isDamaged))
    } catch (error) {
      const rejection = rejectionOf(error, line)
      // What came before is sound and stays; the client continues with this line.
      if (rejection === null) {
        if (this.#write(line)) this.halt = { kind: 'failed', error }
        return
      }
      this.rejected.push(rejection)
      if (this.rejected.length >= REJECTIONS_MAX && this.#write(line + 1)) this.halt = { kind: 'too many rejections' }
      return
    }
    if (this.#batch.byteLength >= this.#options.outbox.wal.batchBytes) this.#write(line + 1)
  }

  #add(value: unknown): void {
    const { outbox, nodeId, clock, bounds } = this.#options
    const { reading, numbered } = checkReading(value, nodeId, clock.now(), bounds)
    const key = sensorKey(reading.tenant_id, reading.sensor_id)
    if (numbered && reading.epoch === outbox.wal.epoch)
      throw new InputError('EPOCH_IN_USE', 'epoch', `epoch ${reading.epoch} is the one of this server's own log`)
    this.sensors.add(key)
    this.hasNumbers ||= numbered
    if (this.#skip > 0) {
      this.#skip -= 1
      this.accepted += 1
      return
    }
    this.#batch.add(numbered ? outbox.wal.foreignLane(key, reading.epoch) : outbox.wal.lane(key), reading)
  }

  /** Writes what is staged; the lines below `nextLine` are then done. Returns false when it could not, and all goes back. */
  #write(nextLine: number): boolean {
    const { outbox, clock, onAccepted } = this.#options
    const { count } = this.#batch
    try {
      if (!outbox.accept(this.#batch, clock.mono())) {
        this.halt = {
          kind: 'full',
          reason: 'the write-ahead log is full: the broker does not take readings fast enough',
        }
        return false
      }
    } catch (error) {
      const isFull = error instanceof WalError && error.retriable
      this.halt = isFull ? { kind: 'full', reason: messageOf(error) } : { kind: 'failed', error }
      return false
    }
    this.accepted += count
    this.#nextLine = nextLine
    if (count > 0) onAccepted(count)
    return true
  }
}

/** null for what is not the line's fault. */
function rejectionOf(error: unknown, line: number): Rejection | null {
  if (error instanceof InputError) return { line, field: error.field, code: error.code, message: error.message }
  if (error instanceof WalError && error.code === 'WAL_SENSORS')
    return { line, field: 'sensor_id', code: error.code, message: error.message }
  return null
}
