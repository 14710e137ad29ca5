// A route of the API as one value: where it is, what may be asked of it, what it is for, and who answers. The Express
// application, the home page and a description of the API are all made of the one list of them (app.ts).
import type { Express, RequestHandler } from 'express'
import { describeParams, type ParamDescription, type ParamsKind } from '../core/params.ts'

export interface Route {
  readonly method: 'GET' | 'PUT'
  /** With its parts in braces: /sensors/{id}/recent. */
  readonly path: string
  readonly summary: string
  readonly params: readonly ParamDescription[]
  readonly handlers: readonly RequestHandler[]
}

export function route(
  method: Route['method'],
  path: string,
  summary: string,
  params: ParamsKind,
  ...handlers: readonly RequestHandler[]
): Route {
  return { method, path, summary, params: describeParams(params), handlers }
}

export function register(app: Express, routes: readonly Route[]): void {
  for (const { method, path, handlers } of routes) {
    const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1')
    if (method === 'GET') app.get(pattern, ...handlers)
    else app.put(pattern, ...handlers)
  }
}
