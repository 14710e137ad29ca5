import pino from 'pino'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { readingType } from '../../../platform/codec/reading.ts'
import { Health } from '../../../platform/health.ts'
import { createApp, listen } from '../../../platform/http.ts'
import { createMetrics } from '../../../platform/metrics.ts'
import { readWalSummary } from '../../../platform/wal/reader.ts'
import { IdempotencyKeys } from './idempotency.ts'
import { addIngestRoutes } from './ingest.ts'
import { Outbox } from '../../outbox.ts'
import { openWal, SCHEMA_ID, tempDir } from '../../../platform/wal/wal.test-support.ts'

const NOW = Date.now()
const log = pino({ level: 'silent' })

describe('POST /readings (X-1)', () => {
  let url: string
  let close: () => Promise<void>
  let outbox: Outbox
  let keys: IdempotencyKeys

  async function start(maxBytes = 1_048_576, fsyncMs = 100): Promise<void> {
    const app = createApp({ health: new Health(), metrics: createMetrics('test'), log, token: undefined })
    outbox = new Outbox({ wal: openWal(tempDir(), { maxBytes, fsyncMs }), ringCapacity: 1_000 })
    keys = new IdempotencyKeys(outbox.wal, fsyncMs === 0)
    addIngestRoutes(app, {
      outbox,
      nodeId: 'ingest',
      bodyBytes: 8_192,
      bounds: { earliestMs: Date.UTC(2000, 0, 1), futureMs: 300_000 },
      log,
      keys,
      clock: systemClock,
      type: readingType,
      schemaId: SCHEMA_ID,
      onAccepted: () => undefined,
    })
    const http = await listen(app, '127.0.0.1', 0, log)
    url = `http://127.0.0.1:${http.port}/readings`
    close = async () => {
      await http.close()
      keys.close()
      await outbox.wal.close()
    }
  }

  beforeEach(() => start())
  afterEach(() => close())

  async function post(body: string, type = 'application/json') {
    const response = await fetch(url, { method: 'POST', body, headers: { 'content-type': type } })
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as Record<string, never>,
    }
  }

  const reading = (overrides: object = {}) => ({ sensor_id: 'a', ts: NOW, power_w: 1.5, ...overrides })

  test('one reading is in the log when it answers 202', async () => {
    const answer = await post(JSON.stringify(reading()))
    expect(answer).toMatchObject({ status: 202, body: { accepted: 1, rejected: [] } })
    expect(readWalSummary(outbox.wal.dir)).toMatchObject({ appendedIndex: 1, accepted: new Map([['default/a', 0]]) })
  })

  test('names that mean something to SQL, spreadsheets or objects are names like any other', async () => {
    const names = ['__proto__', 'constructor', "';DROP--", '=1+1', '...', '%2e%2e', '$(id)', '{{7*7}}']
    const answer = await post(JSON.stringify(names.map((sensor_id) => reading({ sensor_id }))))
    expect(answer).toMatchObject({ status: 202, body: { accepted: names.length } })
    const { accepted } = readWalSummary(outbox.wal.dir)!
    expect([...accepted.keys()].sort()).toEqual(names.map((name) => `default/${name}`).sort())
    expect(({} as { power_w?: number }).power_w).toBeUndefined()
  })

  test.each([
    ['lines', '\n'.repeat(300), 'application/x-ndjson'],
    ['elements', `[${'1,'.repeat(300)}1]`, 'application/json'],
  ])('a body of more %s than readings could fit in is refused before they are looked at', async (_what, body, type) => {
    const answer = await post(body, type)
    expect(answer).toMatchObject({ status: 413, body: { detail: '301 lines or elements; the limit is 256' } })
  })

  test('an array and NDJSON take what is sound and name the rest by line', async () => {
    const list = await post(JSON.stringify([reading(), reading({ power_w: 'x' }), reading({ sensor_id: 'b' })]))
    expect(list).toMatchObject({
      status: 202,
      body: { accepted: 2, rejected_count: 1, rejected: [{ line: 2, field: 'power_w', code: 'WRONG_TYPE' }] },
    })
    const lines = [JSON.stringify(reading()), '', '{broken', JSON.stringify(reading())].join('\n')
    const ndjson = await post(lines, 'application/x-ndjson')
    expect(ndjson).toMatchObject({ status: 202, body: { accepted: 2, rejected: [{ line: 3, code: 'NOT_JSON' }] } })
  })

  test.each<[string, object, string, RegExp]>([
    ['a metric out of bounds', { humidity_pct: 101 }, 'humidity_pct', /100/],
    ['a metric below its bound', { temperature_c: -300 }, 'temperature_c', /-273.15/],
    ['an unknown metric', { powr_w: 1 }, 'powr_w', /power_w/],
    ['a time in the future', { ts: NOW + 400_000 }, 'ts', /300000/],
    ['a time with a fraction', { ts: NOW + 0.5 }, 'ts', /whole number/],
    ['a tenant with a slash', { tenant_id: 'a/b' }, 'tenant_id', /"\/"/],
    ['a sensor that no URL can name', { sensor_id: '..' }, 'sensor_id', /URL/],
    ['a sensor read in a wrong encoding', { sensor_id: 'K\uFFFDhl' }, 'sensor_id', /U\+FFFD/],
    ['K5: an epoch beyond what the scanner reads', { epoch: 2 ** 53 - 1, seq: 0 }, 'epoch', /4503599627370495/],
    ['K5: a seq beyond the limit', { epoch: 1, seq: 2 ** 52 }, 'seq', /4503599627370495/],
    ['K5: 86 characters of three bytes', { sensor_id: '測'.repeat(86) }, 'sensor_id', /258 bytes.*256 bytes/],
    ['a sensor with a control character', { sensor_id: 'a\u0000' }, 'sensor_id', /control/],
    ['a sensor with a control character of the upper half', { sensor_id: 'a\u009b' }, 'sensor_id', /control/],
    ['a sensor with half a surrogate pair, which has no UTF-8', { sensor_id: 'a\ud800' }, 'sensor_id', /surrogate/],
    ['a tag that would be a prototype', { tags: JSON.parse('{"__proto__":"x"}') as object }, 'tags', /__proto__/],
    ['a field that would be a prototype', JSON.parse('{"__proto__":{"power_w":1}}') as object, '__proto__', /neither/],
    ['a tag with half a surrogate pair', { tags: { a: '\udfff' } }, 'tags.a', /surrogate/],
    ['a sensor that is too long', { sensor_id: 'x'.repeat(257) }, 'sensor_id', /257 bytes.*256 bytes/],
    ['too many tags', { tags: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`k${i}`, 'v'])) }, 'tags', /64/],
    ['a seq without its epoch', { seq: 4 }, 'epoch', /epoch/],
    ['no metric at all', { power_w: null }, 'metrics', /power_w/],
  ])('%s gets 422 that names field and limit', async (_name, overrides, field, limit) => {
    // Not by a spread, which would set the prototype.
    const text = JSON.stringify(Object.defineProperties(reading(), Object.getOwnPropertyDescriptors(overrides)))
    const { status, headers, body } = await post(text)
    expect(status).toBe(422)
    expect(headers.get('content-type')).toContain('application/problem+json')
    expect(body.rejected).toEqual([{ line: 1, field, code: expect.any(String), message: expect.stringMatching(limit) }])
    expect(outbox.wal.appended).toBe(0)
  })

  test('NaN is no JSON and is refused by its line', async () => {
    expect(await post('{"sensor_id":"a","ts":1,"power_w":NaN}', 'application/x-ndjson')).toMatchObject({
      status: 422,
      body: { rejected: [{ line: 1, code: 'NOT_JSON' }] },
    })
    expect((await post('{"power_w":NaN}')).status).toBe(400)
  })

  test('readings with numbers of their own keep them, but cannot take those of this log', async () => {
    expect((await post(JSON.stringify(reading({ epoch: 5, seq: 9 })))).status).toBe(202)
    expect(readWalSummary(outbox.wal.dir)?.foreign).toEqual([
      { key: 'default/a', epoch: 5, own: false, count: 1, lastSeq: 9 },
    ])
    const stolen = await post(JSON.stringify(reading({ epoch: outbox.wal.epoch, seq: 0 })))
    expect(stolen).toMatchObject({ status: 422, body: { rejected: [{ field: 'epoch', code: 'EPOCH_IN_USE' }] } })
  })

  test('a body beyond the limit gets 413, another type 415', async () => {
    expect((await post(JSON.stringify(reading({ tags: { a: 'x'.repeat(9_000) } })))).status).toBe(413)
    expect((await post('a,b', 'text/csv')).status).toBe(415)
  })

  test('with a full log it answers 503 with Retry-After, and takes readings again after an acknowledgement', async () => {
    await close()
    await start(65_536)
    const body = Array.from({ length: 100 }, () => JSON.stringify(reading())).join('\n')
    let answer = await post(body, 'application/x-ndjson')
    while (answer.status === 202) answer = await post(body, 'application/x-ndjson')
    expect(answer.status).toBe(503)
    expect(answer.headers.get('retry-after')).toBe('1')
    outbox.wal.acknowledge(outbox.wal.appended)
    expect((await post(body, 'application/x-ndjson')).status).toBe(202)
  })

  test('with WAL_FSYNC_MS=0 what is answered 202 has been forced to disk', async () => {
    await close()
    await start(1_048_576, 0)
    expect((await post(JSON.stringify(reading()))).status).toBe(202)
    expect(outbox.wal.accepted).toBe(1)
  })
})
