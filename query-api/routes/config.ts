// GET and PUT /config: the runtime configuration as a whole (MI-5). Its ETag is its version; a change names the version
// that it was made from, so that nobody's change is lost unseen: 428 without If-Match, 412 when there is a newer one.
// Both answers say who has applied the version; with ?wait= the answer to a change waits for all that are there.
import express, { type ErrorRequestHandler, type Express, type RequestHandler, type Response } from 'express'
import type { Clock } from '../../platform/clock.ts'
import { KafkaError, PlumblineError } from '../../platform/errors.ts'
import { sendProblem } from '../../platform/http.ts'
import type { ApplyingMember } from '../../platform/membership/cluster-state.ts'
import { appliedBy, untilApplied } from '../../platform/runtime-config/applied.ts'
import { CONFIG_LIMITS, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import type { ConfigFollower, ConfigState } from '../../platform/runtime-config/follower.ts'
import { type ConfigWriter, LostUpdate } from '../../platform/runtime-config/writer.ts'
import { RegistryError } from '../../platform/codec/register.ts'
import { lostUpdateDetail, scopesOf, tagOf, versionOf, waitMsOf } from '../core/config-request.ts'
import type { QueryMetrics } from '../query-metrics.ts'

/** The document, written with as much white space again. */
const BODY_BYTES = 2 * CONFIG_LIMITS.bytes
const RETRY_AFTER_S = '1'
/** What was written is read back within milliseconds; then the next GET shows it. */
const READ_BACK_MS = 5_000
const POLL_MS = 10

export interface ConfigSurroundings {
  readonly follower: ConfigFollower
  /** Whether what Kafka says has been read. */
  readonly isRead: () => boolean
  readonly writer: ConfigWriter
  /** Who applies configuration and is there. */
  readonly members: () => readonly ApplyingMember[]
  readonly metrics: QueryMetrics
  readonly clock: Clock
  /** Fires when the process is to end: whoever waits is then answered with what is so by now. */
  readonly signal: AbortSignal
}

export function addConfigRoutes(app: Express, surroundings: ConfigSurroundings): void {
  app.get('/config', measured(surroundings, show(surroundings)))
  // Whatever it calls itself: curl names a form where it is told nothing.
  const body = express.json({ limit: BODY_BYTES, type: () => true })
  app.put('/config', body, tooLarge, measured(surroundings, change(surroundings)))
}

const show =
  ({ follower, isRead, members }: ConfigSurroundings): RequestHandler =>
  (_request, response) => {
    if (!isRead()) return sendUnread(response)
    const { config, refused } = follower.state
    send(response, config, { refused, ...appliedBy(members(), config.version) })
  }

const change =
  (surroundings: ConfigSurroundings): RequestHandler =>
  async (request, response) => {
    const { follower, isRead, writer, members, clock, signal } = surroundings
    const waitMs = waitMsOf(request.query)
    const from = versionOf(request.get('if-match'))
    if (from === undefined) return sendUnconditional(response)
    if (!isRead()) return sendUnread(response)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    let config: RuntimeConfig
    try {
      config = await writer.write(scopesOf(request.body), from)
    } catch (error) {
      return sendRefusal(response, error, follower.state)
    }
    const end = AbortSignal.any([gone.signal, signal])
    await readBack(follower, config.version, clock, end)
    send(response, config, await untilApplied(members, config.version, waitMs, clock, end))
  }

const measured =
  ({ metrics }: ConfigSurroundings, handler: RequestHandler): RequestHandler =>
  (request, response, next) => {
    const done = metrics.begin('/config')
    response.once('finish', () => done(response.statusCode))
    response.set('Cache-Control', 'no-store')
    return handler(request, response, next)
  }

async function readBack(follower: ConfigFollower, version: number, clock: Clock, end: AbortSignal): Promise<void> {
  const deadline = clock.mono() + READ_BACK_MS
  while (follower.current.version < version && clock.mono() < deadline && !end.aborted)
    await clock.sleep(POLL_MS, end).catch(() => undefined)
}

function send(response: Response, { version, at, scopes }: RuntimeConfig, more: object): void {
  response.set('ETag', tagOf(version)).json({ version, at, scopes, ...more })
}

function sendRefusal(response: Response, error: unknown, state: ConfigState): void {
  if (error instanceof LostUpdate) {
    response.set('ETag', tagOf(error.current))
    const { code, current } = error
    return sendProblem(response, {
      status: 412,
      title: 'Precondition Failed',
      detail: lostUpdateDetail(error, state),
      code,
      current_version: current,
    })
  }
  const isAway = error instanceof KafkaError || error instanceof RegistryError
  if (!isAway && !(error instanceof PlumblineError && error.retriable)) throw error
  response.set('Retry-After', RETRY_AFTER_S)
  sendProblem(response, {
    status: 503,
    title: 'Service Unavailable',
    detail: `the change was not confirmed (${error.message}): read /config before making it again`,
    code: error.code,
  })
}

function sendUnconditional(response: Response): void {
  sendProblem(response, {
    status: 428,
    title: 'Precondition Required',
    detail: 'If-Match: name the version that the change was made from, as the ETag of GET /config has it',
    field: 'If-Match',
  })
}

function sendUnread(response: Response): void {
  response.set('Retry-After', RETRY_AFTER_S)
  sendProblem(response, {
    status: 503,
    title: 'Service Unavailable',
    detail: 'the configuration has not been read from Kafka yet: try again',
    code: 'STALE',
  })
}

const tooLarge: ErrorRequestHandler = (error: { type?: unknown }, _request, response, next) => {
  if (error.type !== 'entity.too.large') return next(error)
  sendProblem(response, {
    status: 413,
    title: 'Payload Too Large',
    detail: `the body has more than ${BODY_BYTES} bytes, which is the limit`,
    field: 'body',
  })
}
