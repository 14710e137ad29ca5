// A request's body as JSON, whatever content type it calls itself (curl names a form where it is told nothing), with every
// name at most once per object.
import express, { type RequestHandler } from 'express'
import { InputError } from './errors.ts'
import { parseJsonOnce } from './json-document.ts'

/**
 * `request.body` is then the value; undefined where the request has no body.
 * @param limit bytes; more are refused with 413
 */
export function jsonBody(limit: number): RequestHandler[] {
  const parse: RequestHandler = (request, _response, next) => {
    const bytes: unknown = request.body
    request.body = Buffer.isBuffer(bytes) && bytes.length > 0 ? parseJsonOnce(bytes) : undefined
    next()
  }
  return [express.raw({ limit, type: () => true }), parse]
}

/** For routes without parameters: one that would be ignored is refused, since somebody meant something by it. */
export const withoutParameters: RequestHandler = (request, _response, next) => {
  const [name] = Object.keys(request.query)
  if (name === undefined) return next()
  const shown = name.slice(0, 80)
  throw new InputError('PARAMETER', shown, `${shown} is not a parameter here; there are none`)
}
