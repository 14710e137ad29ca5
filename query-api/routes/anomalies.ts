// GET /anomalies: scores that crossed their threshold, newest first.
import type { RequestHandler } from 'express'
import { ANOMALIES } from '../../schemas/topics.ts'
import { type Params, parseParams } from '../core/params.ts'
import { answer, type Surroundings } from './answer.ts'

export const anomaliesRoute = (surroundings: Surroundings): RequestHandler =>
  answer<Params<'anomalies'>>(surroundings, {
    name: '/anomalies',
    topics: [ANOMALIES],
    parse: (request) => parseParams('anomalies', request.query),
    find: async (view, { tenant, sensor, site, from, to, limit }) => {
      const anomalies = await view.anomalies({ tenant, sensor, site, from, to }, limit)
      // Anomalies have no numbering of their own: by them nothing can be said of completeness.
      return { body: { anomalies }, seqs: { present: 0, expected: 0 } }
    },
  })
