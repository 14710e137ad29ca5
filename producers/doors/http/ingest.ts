// POST /readings: a JSON object, a JSON array, or newline-delimited JSON. Each reading is checked by itself. 202: the
// log has all of them, or those not listed under `rejected`; 422: it has none, or too many were refused to continue; 413:
// the body is too long; 503 with Retry-After: the log is full or too much is under way. Every answer that took lines
// says how many were accepted, and `next_line` is the first line that was not looked at or not kept: null for none.
//
// A reading without epoch and seq is numbered by the log of this process, so nothing downstream is doubled. A client that
// may repeat a request sends Idempotency-Key, or numbers of its own; without either, a repeat is known for a while (repeats.ts).
import express, { type Express, type Request, type RequestHandler, type Response } from 'express'
import { InputError } from '../../../platform/errors.ts'
import { sendProblem } from '../../../platform/http.ts'
import { withoutParameters } from '../../../platform/json-body.ts'
import type { Logger } from '../../../platform/log.ts'
import { checkType, readBody } from './body.ts'
import { digestOf, type IdempotencyKeys, type StoredAnswer } from './idempotency.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import { Repeats } from './repeats.ts'

export interface IngestOptions extends IntakeOptions {
  readonly bodyBytes: number
  readonly log: Logger
  readonly keys: IdempotencyKeys
}

const RETRY_AFTER_S = 1
/** No reading is shorter. Refusing millions of lines that cannot be readings would keep a core busy for minutes. */
const READING_CHARS_MIN = 32
/** Bodies in memory at one time, as multiples of the largest allowed. */
const BODIES_MAX = 16

/** @returns what was not taken again */
export function addIngestRoutes(app: Express, options: IngestOptions): Repeats {
  const { bodyBytes } = options
  const parseBody = express.raw({ type: () => true, limit: bodyBytes })
  /** Requests are taken one after the other: what the log gains meanwhile belongs to one of them. */
  let last: Promise<unknown> = Promise.resolve()
  const repeats = new Repeats()
  app.post(
    '/readings',
    withoutParameters,
    mustHaveType,
    boundedMemory(bodyBytes * BODIES_MAX, bodyBytes),
    parseBody,
    async (request, response) => {
      const turn = last.then(() => take(request, options, repeats))
      last = turn.catch(() => undefined)
      send(response, await turn.catch(refusalOf))
    },
  )
  return repeats
}

const mustHaveType: RequestHandler = (request, _response, next) => {
  checkType(request)
  next()
}

/** Refuses requests while the bodies under way would take more than `bytesMax`. */
function boundedMemory(bytesMax: number, bodyBytes: number): RequestHandler {
  let taken = 0
  return (request, response, next) => {
    const said = Number(request.get('content-length'))
    const isPlain = (request.get('content-encoding') ?? 'identity') === 'identity'
    const bytes = isPlain && said > 0 ? Math.min(said, bodyBytes) : bodyBytes
    if (taken + bytes > bytesMax) {
      response.set('Retry-After', String(RETRY_AFTER_S))
      const detail = 'too many bodies are being read at the same time; try again'
      return sendProblem(response, { status: 503, title: 'Service Unavailable', detail, accepted: 0, next_line: 1 })
    }
    taken += bytes
    response.once('close', () => (taken -= bytes))
    next()
  }
}

/** A body or a key that is refused as a whole. */
function refusalOf(error: unknown): StoredAnswer {
  if (!(error instanceof InputError)) throw error
  const { message, code, field } = error
  return { status: 400, body: { title: 'Bad Request', detail: message, code, field, accepted: 0, next_line: 1 } }
}

async function take(request: Request, options: IngestOptions, repeats: Repeats): Promise<StoredAnswer> {
  const { keys, outbox, log, bodyBytes } = options
  const key = request.get('idempotency-key')
  const digest = digestOf(request.get('content-type') ?? '', request.body)
  const known = key === undefined ? null : keys.find(key, digest)
  const repeated = key === undefined ? repeats.find(digest) : (known?.answer ?? null)
  if (repeated !== null) {
    repeats.readings += Number(repeated.body.accepted)
    return { status: repeated.status, body: { ...repeated.body, replayed: true } }
  }
  const body = readBody(request, Math.floor(bodyBytes / READING_CHARS_MIN))
  const taken = known?.taken ?? 0
  if (key !== undefined) keys.begin(key, digest, taken, outbox.wal.appended)
  const intake = new Intake(options, taken)
  await intake.run(body)
  if (intake.halt?.kind === 'failed') log.error({ err: intake.halt.error }, 'request failed')
  const answer = answerOf(intake)
  // What is to be sent again must be taken then.
  const isFinal = intake.halt === null || intake.halt.kind === 'too many rejections'
  if (key !== undefined) remember(options, () => keys.end(key, digest, intake.accepted, isFinal ? answer : null))
  // Those with a key are told apart by it; with numbers, downstream.
  repeats.taken(digest, intake.sensors, isFinal && key === undefined && !intake.hasNumbers ? answer : null)
  return answer
}

/** The readings are in the log by now: that their key could not be written down is no reason to answer otherwise. */
function remember({ log }: IngestOptions, write: () => void): void {
  try {
    write()
  } catch (error) {
    log.error({ err: error }, 'an Idempotency-Key could not be written down; it is known until the process ends')
  }
}

function answerOf({ accepted, rejected, nextLine, halt }: Intake): StoredAnswer {
  const outcome = { accepted, rejected_count: rejected.length, rejected, next_line: nextLine }
  const problem = (status: number, title: string, detail: string): StoredAnswer => ({
    status,
    body: { title, detail, ...outcome },
  })
  switch (halt?.kind) {
    case 'full':
      return problem(503, 'Service Unavailable', halt.reason)
    case 'failed':
      return problem(
        500,
        'Internal Server Error',
        `the request failed at line ${nextLine}; the log of the process says why`,
      )
    case 'too many rejections':
      return problem(
        422,
        'Unprocessable Content',
        `${rejected.length} lines were refused; the others were not looked at`,
      )
    case undefined:
      if (accepted > 0) return { status: 202, body: outcome }
      return problem(
        422,
        'Unprocessable Content',
        rejected.length === 0 ? 'the body holds no reading' : 'no reading was accepted; see rejected',
      )
  }
}

function send(response: Response, { status, body }: StoredAnswer): void {
  if (body.replayed === true) response.set('Idempotent-Replayed', 'true')
  if (status < 400) return void response.status(status).json(body)
  if (status === 503) response.set('Retry-After', String(RETRY_AFTER_S))
  const { title, detail, ...outcome } = body
  sendProblem(response, { status, title: String(title), detail: String(detail), ...outcome })
}
