// POST /readings: a JSON object, a JSON array, or newline-delimited JSON. Each reading is checked by itself and
// the answer names every one that is refused by line, field and limit. 202: the log has all of them, or those that are
// not listed under `rejected`; 422: it has none; 413: the body is too long; 503 with Retry-After: the log is full.
//
// A reading without epoch and seq is numbered by the log of this process, so nothing behind it is doubled; but a client
// that repeats a request makes new readings, unless it sends numbers of its own.
import { setImmediate } from 'node:timers/promises'
import type avsc from 'avsc'
import express, { type Express, type Request, type Response } from 'express'
import type { Clock } from '../../../platform/clock.ts'
import { sensorKey } from '../../../platform/codec/identity.ts'
import { InputError, messageOf } from '../../../platform/errors.ts'
import { sendProblem } from '../../../platform/http.ts'
import { EntryBatch } from '../../../platform/wal/entry-batch.ts'
import { WalError } from '../../../platform/wal/format.ts'
import type { Outbox } from '../../outbox.ts'
import { checkReading } from '../reading-check.ts'

export interface IngestOptions {
  readonly outbox: Outbox
  readonly nodeId: string
  readonly bodyBytes: number
  /** How far event time may be ahead, ms. */
  readonly futureMs: number
  readonly clock: Clock
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

const NDJSON = 'application/x-ndjson'
/** The answer must not grow with the body: further rejections are counted only. */
const REJECTIONS_MAX = 1_000
const RETRY_AFTER_S = 1
/** A long body must not keep the nodes from sampling: about 20 ms of work. */
const LINES_PER_TURN = 2_000
/** No reading is shorter. Refusing millions of lines that cannot be readings would keep a core busy for minutes. */
const READING_CHARS_MIN = 32

export function addIngestRoutes(app: Express, options: IngestOptions): void {
  const parseBody = express.text({
    type: ['application/json', NDJSON],
    limit: options.bodyBytes,
    defaultCharset: 'utf-8',
  })
  app.post('/readings', parseBody, async (request, response) => {
    const inputs = parse(request, Math.floor(options.bodyBytes / READING_CHARS_MIN))
    const intake = new Intake(options)
    for (let line = 1; line <= inputs.length && intake.full === null; line += 1) {
      intake.take(inputs[line - 1], line)
      if (line % LINES_PER_TURN === 0) await intake.letOthersRun()
    }
    intake.write()
    // Without this only a killed process is survived; with WAL_FSYNC_MS=0 a power cut as well.
    if (options.outbox.wal.accepted < options.outbox.wal.appended) await options.outbox.wal.sync()
    answer(response, intake)
  })
}

/** Either a value or the text of a line that is to be parsed by itself. */
type Input = { value: unknown } | { text: string }

/** @param inputsMax more than these are refused with 413, before anything is made of them */
function parse(request: Request, inputsMax: number): Input[] {
  if (typeof request.body !== 'string')
    throw Object.assign(new Error(`send application/json or ${NDJSON}`), { status: 415 })
  if (request.is(NDJSON) !== false) {
    let lines = 1
    for (let at = request.body.indexOf('\n'); at !== -1; at = request.body.indexOf('\n', at + 1)) lines += 1
    refuseAbove(inputsMax, lines)
    return request.body.split('\n').map((text) => ({ text }))
  }
  let value: unknown
  try {
    value = JSON.parse(request.body)
  } catch (error) {
    throw new InputError('NOT_JSON', 'body', `the body is not JSON: ${messageOf(error)}`)
  }
  if (!Array.isArray(value)) return [{ value }]
  refuseAbove(inputsMax, value.length)
  return value.map((element: unknown) => ({ value: element }))
}

function refuseAbove(inputsMax: number, inputs: number): void {
  if (inputs > inputsMax)
    throw Object.assign(new Error(`${inputs} lines or elements; the limit is ${inputsMax}`), { status: 413 })
}

/** Takes the readings of one request into the log. */
class Intake {
  readonly rejected: Rejection[] = []
  rejectedCount = 0
  accepted = 0
  /** Why the log takes nothing more; null while it does. */
  full: string | null = null
  readonly #options: IngestOptions
  readonly #batch: EntryBatch

  constructor(options: IngestOptions) {
    this.#options = options
    this.#batch = new EntryBatch(options.type, options.schemaId)
  }

  take(input: Input, line: number): void {
    if ('text' in input && input.text.trim() === '') return
    try {
      this.#add('text' in input ? parseLine(input.text) : input.value)
    } catch (error) {
      if (error instanceof InputError)
        this.#reject({ line, field: error.field, code: error.code, message: error.message })
      else if (error instanceof WalError && error.code === 'WAL_SENSORS')
        this.#reject({ line, field: 'sensor_id', code: error.code, message: error.message })
      else throw error
    }
    if (this.#batch.byteLength >= this.#options.outbox.wal.batchBytes) this.write()
  }

  write(): void {
    const { count } = this.#batch
    if (count === 0 || this.full !== null) return
    try {
      if (this.#options.outbox.accept(this.#batch, this.#options.clock.mono())) {
        this.accepted += count
        this.#options.onAccepted(count)
      } else this.full = 'the write-ahead log is full: the broker does not take readings fast enough'
    } catch (error) {
      if (!(error instanceof WalError && error.retriable)) throw error
      this.full = messageOf(error)
    }
  }

  /** Nothing stays staged meanwhile: another request may number readings of the same sensor. */
  async letOthersRun(): Promise<void> {
    this.write()
    await setImmediate()
  }

  #add(value: unknown): void {
    const { outbox, nodeId, clock, futureMs } = this.#options
    const { reading, numbered } = checkReading(value, nodeId, clock.now(), futureMs)
    const key = sensorKey(reading.tenant_id, reading.sensor_id)
    if (numbered && reading.epoch === outbox.wal.epoch)
      throw new InputError('EPOCH_IN_USE', 'epoch', `epoch ${reading.epoch} is the one of this server's own log`)
    this.#batch.add(numbered ? outbox.wal.foreignLane(key, reading.epoch) : outbox.wal.lane(key), reading)
  }

  #reject(rejection: Rejection): void {
    this.rejectedCount += 1
    if (this.rejected.length < REJECTIONS_MAX) this.rejected.push(rejection)
  }
}

function parseLine(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new InputError('NOT_JSON', '', `the line is not JSON: ${messageOf(error)}`)
  }
}

function answer(response: Response, { accepted, rejected, rejectedCount, full }: Intake): void {
  const outcome = { accepted, rejected_count: rejectedCount, rejected }
  if (full !== null) {
    response.set('Retry-After', String(RETRY_AFTER_S))
    return sendProblem(response, { status: 503, title: 'Service Unavailable', detail: full, ...outcome })
  }
  if (accepted === 0) {
    const detail = rejectedCount === 0 ? 'the body holds no reading' : 'no reading was accepted; see rejected'
    return sendProblem(response, { status: 422, title: 'Unprocessable Content', detail, ...outcome })
  }
  response.status(202).json(outcome)
}
