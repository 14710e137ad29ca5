// Answers that do not come: the time is over, the client goes, or too many others ask.
import pino from 'pino'
import { afterEach, describe, expect, it } from 'vitest'
import { Health } from '../../platform/health.ts'
import { listen } from '../../platform/http.ts'
import { createMetrics } from '../../platform/metrics.ts'
import { createQueryApp } from '../app.ts'
import { QueryMetrics } from '../query-metrics.ts'
import { PoolError } from '../reads/pool.ts'
import type { StoreReader } from '../reads/store-reader.ts'
import { queryRoutes } from '../routes.test-support.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** @param read what becomes of every read */
async function serve(read: (signal: AbortSignal) => Promise<never>, deadlineMs: number): Promise<string> {
  const log = pino({ level: 'silent' })
  const registry = createMetrics('query-api')
  const reader: StoreReader = { read: (_name, _params, signal) => read(signal), close: () => Promise.resolve() }
  const answers = { metrics: new QueryMetrics(registry), boundMs: 5_000, deadlineMs, now: Date.now }
  const http = { health: new Health(), metrics: registry, log, token: undefined }
  const { port, close } = await listen(createQueryApp(http, queryRoutes(reader, answers)), '127.0.0.1', 0, log)
  closers.push(close)
  return `http://127.0.0.1:${port}`
}

/** Rejects as the pool does when its read is given up. */
const untilAborted = (signal: AbortSignal): Promise<never> =>
  new Promise((_resolve, reject) =>
    signal.addEventListener('abort', () => reject(new PoolError('READ_ABANDONED', 'given up'))),
  )

describe('a query', () => {
  it('security 9: that takes too long is abandoned: 503 with Retry-After, and what to ask for instead', async () => {
    const url = await serve(untilAborted, 20)
    const response = await fetch(`${url}/sites/many/agg?window=1m`)
    expect([response.status, response.headers.get('retry-after'), response.headers.get('cache-control')]).toEqual([
      503,
      '5',
      'no-store',
    ])
    expect(await response.json()).toMatchObject({ code: 'DEADLINE', detail: expect.stringContaining('within 20 ms') })
  })

  it('security 9: ends with its client', async () => {
    const client = new AbortController()
    const ended = new Promise<void>((resolve) => {
      void serve((signal) => {
        signal.addEventListener('abort', () => resolve())
        client.abort()
        return untilAborted(signal)
      }, 600_000).then((url) => fetch(`${url}/sites/many/agg`, { signal: client.signal }).catch(() => undefined))
    })
    await ended
  })

  it('security 9: that exceeds the number of waiting ones is refused: 503 with Retry-After', async () => {
    const url = await serve(() => Promise.reject(new PoolError('BUSY', '32 such requests are waiting already')), 1_000)
    const response = await fetch(`${url}/sensors`)
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await response.json()).toMatchObject({ code: 'BUSY', detail: expect.stringContaining('32') })
  })

  it('that fails for another reason is 500, and keeps the reason to the log', async () => {
    const url = await serve(() => Promise.reject(new Error('password is hunter2')), 1_000)
    const response = await fetch(`${url}/sensors`)
    expect(response.status).toBe(500)
    expect(await response.text()).not.toContain('hunter2')
  })
})
