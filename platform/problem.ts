// Errors over HTTP as application/problem+json (RFC 9457).
import type { Response } from 'express'

export interface Problem {
  readonly status: number
  readonly title: string
  readonly detail: string
  /** Anything else that helps: the field, the limit, the lines. */
  readonly [member: string]: unknown
}

/** Sends an error as application/problem+json. */
export function sendProblem(response: Response, problem: Problem): void {
  response
    .status(problem.status)
    .type('application/problem+json')
    .send(JSON.stringify({ type: 'about:blank', ...problem }))
}
