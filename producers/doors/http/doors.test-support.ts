// POST /readings over HTTP on a log of its own, for tests; the log and its folder can be opened again, as after a restart.
import pino from 'pino'
import { onTestFinished } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { readingType } from '../../../platform/codec/reading.ts'
import { Health } from '../../../platform/health.ts'
import { createApp, listen } from '../../../platform/http.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { openWal, SCHEMA_ID, tempDir } from '../../../platform/wal/wal.test-support.ts'
import { Outbox } from '../../outbox.ts'
import { IdempotencyKeys } from './idempotency.ts'
import { addIngestRoutes } from './ingest.ts'
import type { Repeats } from './repeats.ts'

const log = pino({ level: 'silent' })

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, never>
}

export interface Door {
  readonly outbox: Outbox
  readonly keys: IdempotencyKeys
  readonly repeats: Repeats
  post(body: string | Uint8Array, headers?: Record<string, string>): Promise<Answer>
  close(): Promise<void>
}

export async function openDoor({ dir = tempDir(), maxBytes = 1_048_576, bodyBytes = 8_192 } = {}): Promise<Door> {
  const outbox = new Outbox({ wal: openWal(dir, { maxBytes }), ringCapacity: 1_000 })
  const keys = new IdempotencyKeys(outbox.wal, false)
  const app = createApp({ health: new Health(), metrics: createMetrics('test'), log, token: undefined })
  const repeats = addIngestRoutes(app, {
    outbox,
    keys,
    log,
    nodeId: 'ingest',
    bodyBytes,
    bounds: { earliestMs: Date.UTC(2000, 0, 1), futureMs: 300_000 },
    clock: systemClock,
    type: readingType,
    schemaId: SCHEMA_ID,
    onAccepted: () => undefined,
  })
  const http = await listen(app, '127.0.0.1', 0, log)
  let isClosed = false
  const close = async (): Promise<void> => {
    if (isClosed) return
    isClosed = true
    await http.close()
    keys.close()
    await outbox.wal.close()
  }
  onTestFinished(close)
  const post = async (body: string | Uint8Array, headers: Record<string, string> = {}): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${http.port}/readings`, {
      method: 'POST',
      body: body as string,
      headers: { 'content-type': 'application/x-ndjson', ...headers },
    })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, never>,
    }
  }
  return { outbox, keys, repeats, post, close }
}
