// The parts of the query API for tests of its routes: the store by a reader, and a cluster of which nothing is known yet.
import { systemClock } from '../platform/clock.ts'
import type { QueryAppOptions } from './app.ts'
import type { StoreReader } from './reads/store-reader.ts'
import type { AnswerOptions } from './routes/answer.ts'

export function queryRoutes(reader: StoreReader, answers: AnswerOptions): QueryAppOptions {
  const state = { config: { version: 0, at: 0, scopes: {} }, refused: null }
  return {
    store: { ...answers, reader },
    cluster: { ...answers, cluster: { stalenessMs: null, current: () => null, earlier: () => [] } },
    config: {
      follower: { state, current: state.config },
      writer: { write: () => Promise.reject(new Error('nothing is written in these tests')) },
      isRead: () => false,
      members: () => [],
      metrics: answers.metrics,
      clock: systemClock,
      signal: new AbortController().signal,
    },
  }
}
