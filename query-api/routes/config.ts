// GET and PUT /config: the runtime configuration as a whole (MI-5). Its ETag is its version; a change names the version
// that it was made from, so that nobody's change is lost unnoticed: 428 without If-Match, 412 when there is a newer one.
// Both answers say who has applied the version; with ?wait= the answer to a change waits for all members.
import express, { type Request, type RequestHandler, type Response } from 'express'
import type { Clock } from '../../platform/clock.ts'
import { KafkaError, PlumblineError } from '../../platform/errors.ts'
import { sendProblem } from '../../platform/http.ts'
import type { ApplyingMember } from '../../platform/membership/cluster-state.ts'
import { appliedBy, untilApplied } from '../../platform/runtime-config/applied.ts'
import { CONFIG_LIMITS, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import type { ConfigFollower, ConfigState } from '../../platform/runtime-config/follower.ts'
import { type ConfigWriter, LostUpdate } from '../../platform/runtime-config/writer.ts'
import { RegistryError } from '../../platform/codec/register.ts'
import { lostUpdateDetail, scopesOf, tagOf, versionOf } from '../core/config-request.ts'
import { parseJsonOnce } from '../../platform/json-document.ts'
import { parseParams } from '../core/params.ts'
import type { QueryMetrics } from '../query-metrics.ts'
import { sendUnavailable } from './answer.ts'
import { type Route, route } from './route.ts'
import { pause } from '../../platform/retry.ts'

/** The document, written with as much white space again. */
const BODY_BYTES = 2 * CONFIG_LIMITS.bytes
const RETRY_AFTER_S = '1'
/** What was written is read back within milliseconds, so that the next GET shows it. */
const READ_BACK_MS = 5_000
const POLL_MS = 10

type Follower = Pick<ConfigFollower, 'state' | 'current'>

export interface ConfigRouteOptions {
  readonly follower: Follower
  /** Whether what Kafka says has been read. */
  readonly isRead: () => boolean
  readonly writer: Pick<ConfigWriter, 'write'>
  /** Who applies configuration and was heard of in time. */
  readonly members: () => readonly ApplyingMember[]
  readonly metrics: QueryMetrics
  readonly clock: Clock
  /** Fires when the process is to end: who waits is then answered with the current state. */
  readonly signal: AbortSignal
}

export function configRoutes(options: ConfigRouteOptions): Route[] {
  // Whatever it calls itself: curl names a form where it is told nothing.
  const body = express.raw({ limit: BODY_BYTES, type: () => true })
  return [
    route(
      'GET',
      '/config',
      'the runtime configuration, its version as ETag, and who has applied it',
      'none',
      measured(options, show(options)),
    ),
    route(
      'PUT',
      '/config',
      'replaces the runtime configuration: {"scopes": …} with If-Match: the ETag that the change was made from',
      'wait',
      body,
      measured(options, change(options)),
    ),
  ]
}

const show =
  ({ follower, isRead, members }: ConfigRouteOptions): RequestHandler =>
  ({ query }, response) => {
    parseParams('none', query)
    if (!isRead()) return sendUnread(response)
    const { config, refused } = follower.state
    send(response, config, { refused, ...appliedBy(members(), config.version, config.version) })
  }

const change =
  (options: ConfigRouteOptions): RequestHandler =>
  async (request, response) => {
    const { follower, isRead, writer, members, clock, signal } = options
    const { wait: waitMs = 0 } = parseParams('wait', request.query)
    const from = versionOf(request.get('if-match'))
    if (from === undefined) return sendUnconditional(response)
    if (!isRead()) return sendUnread(response)
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    let config: RuntimeConfig
    try {
      config = await writer.write(scopesOf(parseJsonOnce(bodyOf(request))), from)
    } catch (error) {
      return sendRefusal(response, error, follower.state)
    }
    const end = AbortSignal.any([gone.signal, signal])
    await readBack(follower, config.version, clock, end)
    const current = () => ({ members: members(), newest: follower.current.version })
    send(response, config, await untilApplied(current, config.version, waitMs, clock, end))
  }

const measured =
  ({ metrics }: ConfigRouteOptions, handler: RequestHandler): RequestHandler =>
  (request, response, next) => {
    const done = metrics.begin('/config')
    response.once('finish', () => done(response.statusCode))
    response.set('Cache-Control', 'no-store')
    return handler(request, response, next)
  }

async function readBack(follower: Follower, version: number, clock: Clock, end: AbortSignal): Promise<void> {
  const deadline = clock.mono() + READ_BACK_MS
  while (follower.current.version < version && clock.mono() < deadline && !end.aborted) await pause(POLL_MS, end, clock)
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
  sendUnavailable(response, RETRY_AFTER_S, {
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
  sendUnavailable(response, RETRY_AFTER_S, {
    detail: 'the configuration has not been read from Kafka yet: try again',
    code: 'STALE',
  })
}

/** Empty where there is no body. */
const bodyOf = ({ body }: Request): Uint8Array => (body instanceof Uint8Array ? body : new Uint8Array(0))
