// The HTTP surface that every process has: health, readiness, metrics, errors as problem+json (RFC 9457), and the guard
// in front of all but /healthz. A process adds its own routes between `createApp` and `listen`.
import { createServer, type Server, STATUS_CODES } from 'node:http'
import express, { type ErrorRequestHandler, type Express } from 'express'
import { InputError, messageOf, PortError } from './errors.ts'
import type { Health } from './health.ts'
import { guard } from './http-guard.ts'
import type { Logger } from './log.ts'
import type { Registry } from './metrics.ts'
import { ownerText, portOwner } from './port-owner.ts'
import { sendProblem } from './problem.ts'

export { type Problem, sendProblem } from './problem.ts'

export interface AppOptions {
  readonly health: Health
  readonly metrics: Registry
  readonly log: Logger
  /** Required of every request but GET /healthz when set. */
  readonly token: string | undefined
}

export function createApp({ health, metrics, token }: AppOptions): Express {
  const app = express()
  app.disable('x-powered-by')
  // A supervisor need not know the token: it learns nothing but that this process is alive.
  app.get('/healthz', (_request, response) => void response.json({ live: true }))
  app.use(guard(token))
  app.get('/readyz', (_request, response) => {
    const readiness = health.readiness()
    response.status(readiness.ready ? 200 : 503).json(readiness)
  })
  app.get('/metrics', async (_request, response) => {
    response.type(metrics.contentType).send(await metrics.metrics())
  })
  return app
}

/** What one client may cost: a connection that sends slowly or not at all is closed, and connections are capped. */
const LIMITS = {
  headersTimeoutMs: 5_000,
  /** The largest body of POST /readings at 1.1 Mbit/s. */
  requestTimeoutMs: 60_000,
  checkEveryMs: 1_000,
  connectionsMax: 1_000,
}

/** Time that open answers are given when the server is closed, ms. */
const CLOSE_GRACE_MS = 2_000

/** Adds the last handlers (unknown path, errors) and listens. Port 0 takes a free one. */
export async function listen(
  app: Express,
  host: string,
  port: number,
  log: Logger,
): Promise<{ server: Server; port: number; close(): Promise<void> }> {
  app.use((request, response) => {
    const { method, path } = request
    const allowed = methodsAt(app, path)
    if (allowed.length === 0)
      return sendProblem(response, { status: 404, title: 'Not Found', detail: `there is no ${method} ${path}` })
    const allow = allowed.join(', ')
    response.set('Allow', allow)
    sendProblem(response, {
      status: 405,
      title: 'Method Not Allowed',
      detail: `${path} does not take ${method}; it takes ${allow}`,
    })
  })
  app.use(errorHandler(log))
  const server = createServer(
    {
      headersTimeout: LIMITS.headersTimeoutMs,
      requestTimeout: LIMITS.requestTimeoutMs,
      connectionsCheckingInterval: LIMITS.checkEveryMs,
    },
    app,
  )
  server.maxConnections = LIMITS.connectionsMax
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = error.code === 'EADDRINUSE'
      reject(
        inUse
          ? new PortError(
              'PORT_IN_USE',
              `port ${port} on ${host} is in use: stop ${ownerText(portOwner(port))}, or choose another port`,
              { cause: error },
            )
          : error,
      )
    })
    server.listen(port, host, resolve)
  })
  const address = server.address()
  const close = async (): Promise<void> => {
    // Answers under way may end; a stream that never does must not keep the process.
    const ending = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
    await new Promise<void>((resolve) => server.close(() => resolve()))
    clearTimeout(ending)
  }
  return { server, port: typeof address === 'object' && address !== null ? address.port : port, close }
}

/** What the router keeps of each route, as far as it is looked at here. */
interface RouterLayer {
  readonly route?: { readonly methods: Readonly<Record<string, boolean>> }
  match(path: string): boolean
}

/** Methods that some route takes at this path. */
export function methodsAt(app: Express, path: string): string[] {
  const methods = new Set<string>()
  for (const layer of app.router.stack as unknown as readonly RouterLayer[]) {
    if (layer.route === undefined || !isAt(layer, path)) continue
    for (const method of Object.keys(layer.route.methods)) methods.add(method.toUpperCase())
  }
  if (methods.has('GET')) methods.add('HEAD')
  return [...methods].sort()
}

/** A path that cannot be decoded is at no route. */
function isAt(layer: RouterLayer, path: string): boolean {
  try {
    return layer.match(path)
  } catch {
    return false
  }
}

const errorHandler =
  (log: Logger): ErrorRequestHandler =>
  (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error)
    if (error instanceof InputError) {
      return sendProblem(response, {
        status: 400,
        title: 'Bad Request',
        detail: error.message,
        code: error.code,
        field: error.field,
      })
    }
    const status = statusOf(error)
    if (status >= 500) log.error({ err: error }, 'request failed')
    sendProblem(response, {
      status,
      title: STATUS_CODES[status] ?? 'Error',
      detail: status < 500 ? detailOf(error) : 'the request failed; the log says why',
    })
  }

/** Body parsers say "too large" without the limit. */
function detailOf(error: unknown): string {
  const { type, limit, length } = error as { type?: unknown; limit?: unknown; length?: unknown }
  if (type !== 'entity.too.large') return messageOf(error)
  const has = typeof length === 'number' ? `has ${length} bytes` : 'is longer'
  return `the body ${has}; the limit is ${String(limit)} bytes`
}

/** Body parsers and the router mark the client's mistakes with a 4xx status. */
function statusOf(error: unknown): number {
  const status = (error as { status?: unknown }).status
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500
}
