// The frame of every answer: check the parameters, look up what was asked for, judge how fresh that is, and send it
// with its headers, or a 503 that says when to come again. Looking up ends when the client has gone or the time is over.
import type { Request, RequestHandler, Response } from 'express'
import { PlumblineError, StoreError } from '../../platform/errors.ts'
import { sendProblem } from '../../platform/http.ts'
import { cacheHeaders, dataThrough, judge, type PartitionThrough, partitionsBehind } from '../core/freshness.ts'
import type { QueryMetrics } from '../query-metrics.ts'

export interface AnswerOptions {
  readonly metrics: QueryMetrics
  /** Staleness bound unless the client asks for another, ms. */
  readonly boundMs: number
  /** How long a client may wait for an answer, ms; beyond it the look-up is abandoned. */
  readonly deadlineMs: number
  readonly now: () => number
}

/** How much of what had arrived is in an answer: by partitions of topics, or as one time (null: not known). */
export type Through = { readonly partitions: readonly PartitionThrough[] } | { readonly throughMs: number | null }

export type Found = Through &
  (
    | {
        readonly kind: 'found'
        /** The answer's own members. */
        readonly body: Readonly<Record<string, unknown>>
        readonly completeness: number | null
      }
    | { readonly kind: 'absent'; readonly detail: string }
  )

/** Where answers come from, in the words of a 503. */
export interface Source {
  readonly retryAfterS: string
  /** Code and words while nothing is known yet. */
  readonly unknown: { readonly code: string; readonly detail: string }
  readonly late: (stalenessMs: number) => string
}

export interface Question<P> {
  /** The path, for metrics. */
  readonly name: string
  readonly source: Source
  readonly parse: (request: Request, nowMs: number) => P & { readonly max_staleness?: number | undefined }
  readonly find: (params: P, signal: AbortSignal) => Found | Promise<Found>
}

export function answer<P>({ metrics, boundMs, deadlineMs, now }: AnswerOptions, question: Question<P>): RequestHandler {
  return async (request, response) => {
    const done = metrics.begin(question.name)
    response.once('finish', () => done(response.statusCode))
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const deadline = AbortSignal.timeout(deadlineMs)
    try {
      const params = question.parse(request, now())
      const bound = params.max_staleness ?? boundMs
      const found = await question.find(params, AbortSignal.any([gone.signal, deadline]))
      // Judged when it is about to be sent: a long look-up makes an answer older.
      const asOf = now()
      const through = 'partitions' in found ? dataThrough(found.partitions) : found.throughMs
      const verdict = judge(asOf, through, found.kind === 'found' ? found.completeness : null, bound)
      if (!verdict.fresh) return sendStale(response, question.source, verdict.stalenessMs, bound, found, asOf)
      if (found.kind === 'absent') return sendAbsent(response, found.detail)
      const { age, cacheControl } = cacheHeaders(verdict.freshness.staleness_ms, bound)
      response.set({ Age: age, 'Cache-Control': cacheControl }).json({ ...verdict.freshness, ...found.body })
    } catch (error) {
      if (gone.signal.aborted) return
      if (deadline.aborted) return sendTooLong(response, deadlineMs)
      sendError(response, error)
    }
  }
}

/** 503 problem+json: what the client may do is in `detail`, when to do it in Retry-After. */
export function sendUnavailable(
  response: Response,
  retryAfterS: string,
  problem: { readonly detail: string; readonly code: string; readonly [member: string]: unknown },
): void {
  response.set({ 'Retry-After': retryAfterS, 'Cache-Control': 'no-store' })
  sendProblem(response, { status: 503, title: 'Service Unavailable', ...problem })
}

function sendStale(
  response: Response,
  { retryAfterS, unknown, late }: Source,
  stalenessMs: number | null,
  boundMs: number,
  through: Through,
  asOfMs: number,
): void {
  const behind = 'partitions' in through ? partitionsBehind(through.partitions, asOfMs, boundMs) : undefined
  const said = stalenessMs === null ? unknown : { code: 'STALE', detail: late(stalenessMs) }
  sendUnavailable(response, retryAfterS, {
    detail: `${said.detail}; the bound is ${boundMs} ms: try again, or accept more with max_staleness`,
    code: said.code,
    staleness_ms: stalenessMs,
    max_staleness_ms: boundMs,
    ...(behind === undefined ? {} : { behind }),
  })
}

function sendAbsent(response: Response, detail: string): void {
  response.set('Cache-Control', 'no-store')
  sendProblem(response, { status: 404, title: 'Not Found', detail, code: 'NOT_FOUND' })
}

function sendTooLong(response: Response, deadlineMs: number): void {
  sendUnavailable(response, '5', {
    code: 'DEADLINE',
    detail: `the answer was not ready within ${deadlineMs} ms: ask for a shorter range, longer windows or fewer metrics, or try again when fewer others ask`,
  })
}

function sendError(response: Response, error: unknown): void {
  response.set('Cache-Control', 'no-store')
  if (error instanceof StoreError && error.code === 'STORE_EXPIRED')
    return sendProblem(response, { status: 410, title: 'Gone', detail: error.message, code: error.code })
  if (error instanceof PlumblineError && error.retriable)
    return sendUnavailable(response, '1', { detail: error.message, code: error.code })
  throw error
}
