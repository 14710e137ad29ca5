// From raw to REST on the real parts: refine, sink and query API as processes. What matters here is freshness: the
// topics that the sink reads are written in transactions, whose markers it never sees.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sensorKey } from '../platform/codec/identity.ts'
import { encodeFramed, readingType } from '../platform/codec/reading.ts'
import { partitionOf } from '../platform/kafka/partitioner.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { METRICS } from '../schemas/metrics.ts'
import { RAW } from '../schemas/topics.ts'
import type { ServiceProcess } from '../test/fixtures/processes.ts'
import { startStack, type Stack } from '../test/fixtures/refine.ts'

const NULLS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))
const WAIT_MS = 60_000
const EPOCH = 1
let stack: Stack
let folder: string
let url: string
let sink: ServiceProcess

beforeAll(async () => {
  stack = await startStack(2)
  folder = mkdtempSync(join(tmpdir(), 'plumbline-query-'))
  const env = stack.env({
    SQLITE_FILE: join(folder, 'store.sqlite'),
    SINKS_PORT: '0',
    QUERY_API_PORT: '0',
    LOG_LEVEL: 'info',
  })
  const api = await stack.processes.start({ main: 'query-api/main.ts', env, ready: { output: '"listening"' } })
  url = `http://127.0.0.1:${/"port":(\d+)/.exec(api.output())![1]}`
  // Slow enough for readings to be in raw and not yet in clean while answers are taken.
  await stack.startRefine({ REFINE_COMMIT_MS: '1000' })
  sink = await stack.processes.start({ main: 'sinks/main.ts', env, ready: { output: '"listening"' } })
})
afterAll(async () => {
  await stack.stop()
  rmSync(folder, { recursive: true })
})

interface Answer {
  readonly status: number
  readonly retryAfter: string | null
  readonly body: Record<string, unknown>
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(url + path)
  return {
    status: response.status,
    retryAfter: response.headers.get('retry-after'),
    body: (await response.json()) as Record<string, unknown>,
  }
}

async function until(path: string, holds: (answer: Answer) => boolean): Promise<Answer> {
  let answer: Answer | undefined
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(50)) {
    answer = await get(path)
    if (holds(answer)) return answer
  }
  throw new Error(`${path} still answers ${JSON.stringify(answer)} after ${WAIT_MS / 1000} s`)
}

const readingOf = (sensor: string, seq: number, at: number): Buffer =>
  encodeFramed(readingType, stack.readingId, {
    ...{ tenant_id: 't', site_id: 'site', node_id: 'n', sensor_id: sensor, epoch: EPOCH, seq },
    ...{ ts: at + seq, mono_ms: seq, ...NULLS, power_w: seq, tags: {} },
  })

const send = (sensor: string, seqs: readonly number[], at: number): Promise<void> =>
  stack.send(seqs.map((seq) => ({ key: Buffer.from(sensorKey('t', sensor)), value: readingOf(sensor, seq, at) })))

describe('query API behind the whole pipeline', () => {
  it('EM-7: what had arrived by data_through is in every answer, while readings flow', async () => {
    const start = Date.now() - 10_000
    const sent: { at: number; seq: number }[] = []
    await until('/status', ({ status }) => status === 200)
    let answers = 0
    for (let seq = 0; seq < 200; seq += 1) {
      await send('flow', [seq], start)
      sent.push({ at: Date.now(), seq })
      await delay(30)
      const { status, body } = await get('/sensors/flow/recent?limit=1000')
      if (status === 404 || status === 503) continue
      const stored = new Set((body.readings as { seq: number }[]).map((reading) => reading.seq))
      const missing = sent.filter(({ at, seq: sentSeq }) => at <= (body.data_through as number) && !stored.has(sentSeq))
      expect(missing).toEqual([])
      answers += 1
      expect(body.completeness).toBe(1)
    }
    const { body } = await until(
      '/sensors/flow/recent?limit=1000',
      (answer) => (answer.body.readings as unknown[])?.length === 200,
    )
    expect(body.staleness_ms).toBeLessThanOrEqual(5_000)
    expect(answers).toBeGreaterThan(20)
  })

  it('EM-7: stays fresh when nothing comes any more, though the topics end in transaction markers', async () => {
    const { body } = await get('/status')
    const later = await until(
      '/status',
      (answer) => (answer.body.data_through as number) > (body.data_through as number) + 4_000,
    )
    expect(later.body.readings).toBe(200)
  })

  it('EM-7: completeness shows a gap that was given up', async () => {
    await send('gap', [0, 1, 2, 4], Date.now() - 5_000)
    const { body } = await until('/sensors/gap/recent', (answer) => (answer.body.readings as unknown[])?.length === 4)
    expect(body.completeness).toBe(0.8)
    expect((await get('/sites/site/agg?window=1h&metric=power_w')).body.completeness).toBeCloseTo(204 / 205)
  })

  it('K2: an open transaction of somebody else holds back the sensors of its partition, and nothing else', async () => {
    const isIn = (partition: number, name: string): boolean => {
      const key = Buffer.from(sensorKey('t', name))
      return partitionOf(key, 0, key.length, 2) === partition
    }
    const nameIn = (partition: number): string => ['a', 'b', 'c', 'd', 'e', 'f'].find((name) => isIn(partition, name))!
    const [free, held] = [nameIn(0), nameIn(1)]
    const at = Date.now() - 5_000
    await send(free, [0], at)
    await send(held, [0], at)
    const path = (sensor: string): string => `/sensors/${sensor}/recent?tenant=t`
    for (const sensor of [free, held]) await until(path(sensor), ({ status }) => status === 200)
    const foreign = await stack.kafka.transactionalProducer({
      transactionalId: 'foreign',
      transactionTimeoutMs: 60_000,
    })
    await foreign.fence()
    const transaction = await foreign.begin()
    const records = new RecordBatchBuilder()
    records.add(Buffer.from(sensorKey('t', held)), readingOf(held, 1, at))
    await transaction.send([{ topic: RAW, partition: 1, records }])
    await send(free, [1], at)
    await send(held, [2], at)
    const stale = await until(path(held), ({ status }) => status === 503)
    expect(stale.body.code).toBe('STALE')
    expect((stale.body.behind as { partition: number }[]).map(({ partition }) => partition)).toEqual([1, 1])
    const other = await until(
      path(free),
      ({ status, body }) => status === 200 && (body.readings as unknown[]).length === 2,
    )
    expect(other.body.completeness).toBe(1)
    expect((await get('/sites/site/agg?window=1h')).status).toBe(503)
    const named = /behind: .*telemetry\.clean\/1 by \d+ ms/
    await until('/readyz', ({ body }) => named.test(JSON.stringify(body)))
    // Never fresher than what is visible, however stale an answer the client accepts.
    const accepted = await get(`${path(held)}&max_staleness=1h`)
    expect((accepted.body.readings as unknown[]).length).toBe(1)
    expect(accepted.body.staleness_ms).toBeGreaterThan(5_000)
    await transaction.commit()
    await foreign.close()
    await until(path(held), (answer) => answer.status === 200 && (answer.body.readings as unknown[]).length === 3)
  })

  it('EM-7: with the sink gone it answers 503 with Retry-After, unless the client accepts stale answers', async () => {
    await sink.kill()
    const stale = await until('/status', ({ status }) => status === 503)
    expect(stale.retryAfter).toBe('1')
    expect(stale.body.staleness_ms).toBeGreaterThan(5_000)
    const accepted = await get('/sensors/flow/recent?max_staleness=1h')
    expect(accepted.status).toBe(200)
    expect((await get('/sites/site/agg?max_staleness=1h')).body.windows).not.toEqual([])
  })
})
