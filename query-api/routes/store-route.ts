// The routes that the store answers: what they share is the reader, and the words of a 503.
import type { Request, RequestHandler } from 'express'
import type { ReadName, ReadParams } from '../reads/reads.ts'
import type { StoreReader } from '../reads/store-reader.ts'
import { answer, type AnswerOptions, type Source } from './answer.ts'

export interface StoreRouteOptions extends AnswerOptions {
  readonly reader: StoreReader
}

const STORE: Source = {
  // The sink writes progress once a second.
  retryAfterS: '1',
  unknown: { code: 'STALE', detail: 'it is not known yet up to when the store is complete' },
  late: (stalenessMs) => `the store is ${stalenessMs} ms behind`,
}

/** @param parse checks the request; its result goes to the read */
export function answerFromStore<N extends ReadName>(
  options: StoreRouteOptions,
  name: string,
  read: N,
  parse: (request: Request, nowMs: number) => ReadParams<N> & { readonly max_staleness?: number | undefined },
): RequestHandler {
  const { reader } = options
  return answer<ReadParams<N>>(options, {
    name,
    source: STORE,
    parse,
    find: (params, signal) => reader.read(read, params, signal),
  })
}
