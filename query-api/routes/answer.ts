// The frame of every answer: check the parameters, read one consistent state of the store, judge its freshness, and
// send it with its headers, or a 503 that says when to come again.
import type { Request, RequestHandler, Response } from 'express'
import { PlumblineError, StoreError } from '../../platform/errors.ts'
import { sendProblem } from '../../platform/http.ts'
import type { SeqCount, Store, StoreView } from '../../platform/store/port.ts'
import { cacheHeaders, completenessOf, dataThrough, judge } from '../core/freshness.ts'
import type { QueryMetrics } from '../query-metrics.ts'

/** The sink writes progress once a second. */
const RETRY_AFTER_S = '1'

export interface Surroundings {
  readonly store: Store
  readonly metrics: QueryMetrics
  /** Staleness bound unless the client asks for another, ms. */
  readonly boundMs: number
  readonly now: () => number
}

export interface Found {
  /** The answer's own members. */
  readonly body: Readonly<Record<string, unknown>>
  /** Of the sensors in the answer; see core/freshness.ts. */
  readonly seqs: SeqCount
}

export interface Route<P> {
  /** For metrics. */
  readonly name: string
  readonly parse: (request: Request, nowMs: number) => P & { readonly max_staleness?: number | undefined }
  /** Topics that the answer is made of: their freshness is the answer's. */
  readonly topics: readonly string[]
  readonly find: (view: StoreView, params: P) => Promise<Found>
}

export function answer<P>({ store, metrics, boundMs, now }: Surroundings, route: Route<P>): RequestHandler {
  return async (request, response) => {
    const done = metrics.begin(route.name)
    response.once('finish', () => done(response.statusCode))
    try {
      const params = route.parse(request, now())
      const bound = params.max_staleness ?? boundMs
      const { found, progress } = await store.read(async (view) => ({
        // First, so that where the store gives no consistent state the data are newer than what is said of them.
        progress: await view.progress(),
        found: await route.find(view, params),
      }))
      // Judged when it is about to be sent: a long read makes an answer older.
      const verdict = judge(now(), dataThrough(progress, route.topics), completenessOf(found.seqs), bound)
      if (!verdict.fresh) return sendStale(response, verdict.stalenessMs, bound)
      const { age, cacheControl } = cacheHeaders(verdict.freshness.staleness_ms, bound)
      response.set({ Age: age, 'Cache-Control': cacheControl }).json({ ...verdict.freshness, ...found.body })
    } catch (error) {
      sendError(response, error)
    }
  }
}

/** There is no such thing; an answer, not a failure. */
export class NotFound extends PlumblineError {
  constructor(message: string) {
    super('NOT_FOUND', message)
  }
}

function sendStale(response: Response, stalenessMs: number | null, boundMs: number): void {
  response.set({ 'Retry-After': RETRY_AFTER_S, 'Cache-Control': 'no-store' })
  const known =
    stalenessMs === null ? 'it is not known yet how far the store is' : `the store is ${stalenessMs} ms behind`
  sendProblem(response, {
    status: 503,
    title: 'Service Unavailable',
    detail: `${known}, the bound is ${boundMs} ms: try again, or accept more with max_staleness`,
    code: 'STALE',
    staleness_ms: stalenessMs,
    max_staleness_ms: boundMs,
  })
}

function sendError(response: Response, error: unknown): void {
  response.set('Cache-Control', 'no-store')
  if (error instanceof NotFound)
    return sendProblem(response, { status: 404, title: 'Not Found', detail: error.message, code: error.code })
  if (error instanceof StoreError && error.code === 'STORE_EXPIRED')
    return sendProblem(response, { status: 410, title: 'Gone', detail: error.message, code: error.code })
  if (error instanceof StoreError && error.retriable) {
    response.set('Retry-After', RETRY_AFTER_S)
    return sendProblem(response, { status: 503, title: 'Service Unavailable', detail: error.message, code: error.code })
  }
  throw error
}
