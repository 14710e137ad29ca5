// Who may ask: in front of every route of every process. With a token, those who know it, and nobody else gets more than
// /healthz. Without one we are on loopback, where every process of this machine may ask, but a web page in a browser of
// this machine may not: neither by a form or script that sends a request across origins, nor by a name of its own that
// it lets point to 127.0.0.1 (DNS rebinding).
import { createHash, timingSafeEqual } from 'node:crypto'
import type { Request, RequestHandler, Response } from 'express'
import { sendProblem } from './problem.ts'

const READING = new Set(['GET', 'HEAD', 'OPTIONS'])
const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d{1,5})?$/i

/** @param token required of every request when set */
export function guard(token: string | undefined): RequestHandler {
  const isKnown = token === undefined ? null : knows(token)
  return (request, response, next) => {
    response.set('X-Content-Type-Options', 'nosniff')
    if (!READING.has(request.method) && isFromElsewhere(request))
      return forbid(response, 'requests sent by web pages of another origin are refused')
    if (isKnown === null) {
      const host = request.get('host')
      if (host === undefined || LOOPBACK.test(host)) return next()
      return forbid(response, 'without API_TOKEN only requests to localhost or 127.0.0.1 are answered')
    }
    if (isKnown(request.get('authorization') ?? '')) return next()
    // Basic lets a browser ask its user; any name will do, the password is the token.
    response.set('WWW-Authenticate', 'Bearer, Basic realm="Plumbline", charset="UTF-8"')
    sendProblem(response, {
      status: 401,
      title: 'Unauthorized',
      detail: 'send the header "Authorization: Bearer <API_TOKEN>"',
    })
  }
}

function forbid(response: Response, detail: string): void {
  sendProblem(response, { status: 403, title: 'Forbidden', detail })
}

/** Browsers send the origin of a request; other clients send none. */
function isFromElsewhere(request: Request): boolean {
  const origin = request.get('origin')
  if (origin === undefined) return false
  return !URL.canParse(origin) || new URL(origin).host !== request.get('host')
}

/** Compares digests in constant time: they have one length, so that not even the token's length shows. */
function knows(token: string): (authorization: string) => boolean {
  const expected = digest(token)
  return (authorization) => {
    // The scheme's case does not matter (RFC 9110, 11.1).
    const [, scheme, credentials] = /^(bearer|basic) +(.*)$/i.exec(authorization) ?? []
    const given = scheme?.toLowerCase() === 'basic' ? passwordOf(credentials) : credentials
    return given !== undefined && timingSafeEqual(digest(given), expected)
  }
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** Of `user:password` in Base64. */
function passwordOf(credentials: string): string | undefined {
  const text = Buffer.from(credentials, 'base64').toString()
  const at = text.indexOf(':')
  return at === -1 ? undefined : text.slice(at + 1)
}
