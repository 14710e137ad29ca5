// The API over a real store and real HTTP.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Health } from '../platform/health.ts'
import { listen } from '../platform/http.ts'
import { createMetrics } from '../platform/metrics.ts'
import { anomaly, batch, reading } from '../platform/store/contract-rows.ts'
import { NO_ROWS, type ProgressUpdate } from '../platform/store/port.ts'
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { createQueryApp } from './app.ts'
import { DirectReader } from './reads/store-reader.ts'
import { queryRoutes } from './routes.test-support.ts'
import { QueryMetrics } from './query-metrics.ts'

const TOPICS = ['telemetry.clean', 'telemetry.late', 'telemetry.anomalies']
const MINUTE = 60_000
const NASTY = `<img src=x onerror=alert(1)>'"&/ü`
const folder = mkdtempSync(join(tmpdir(), 'plumbline-api-'))
const file = join(folder, 'store.sqlite')
const writer = new SqliteStore({ file, access: 'write' })
const store = new SqliteStore({ file, access: 'read' })
let url: string
let close: () => Promise<void>
let now = 10 * MINUTE

const progress = (throughMs: number, after: number | null): ProgressUpdate[] =>
  TOPICS.flatMap((topic) =>
    [0, 1].map((partition) => ({ topic, partition, after, offset: 5, throughMs, eventMs: null })),
  )

beforeAll(async () => {
  const log = pino({ level: 'silent' })
  const registry = createMetrics('query-api')
  const app = createQueryApp(
    { health: new Health(), metrics: registry, log, token: undefined },
    queryRoutes(new DirectReader(store), {
      metrics: new QueryMetrics(registry),
      boundMs: 5_000,
      deadlineMs: 20_000,
      now: () => now,
    }),
  )
  const server = await listen(app, '127.0.0.1', 0, log)
  url = `http://127.0.0.1:${server.port}`
  close = server.close
})
afterAll(async () => {
  await close()
  await store.close()
  await writer.close()
  rmSync(folder, { recursive: true })
})
beforeEach(() => {
  now = 10 * MINUTE
})

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- answers are looked at freely
type Body = Record<string, any>

async function get(path: string): Promise<{ status: number; headers: Headers; body: Body }> {
  const response = await fetch(url + path)
  return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
}

describe('query API', () => {
  it('answers 503 with Retry-After while there is no store, and while its staleness is not known', async () => {
    const none = await get('/sensors')
    expect([none.status, none.headers.get('retry-after'), none.headers.get('content-type')]).toEqual([
      503,
      '1',
      'application/problem+json; charset=utf-8',
    ])
    await writer.migrate()
    const unknown = await get('/sensors?max_staleness=1d')
    expect([unknown.status, unknown.body.code, unknown.body.staleness_ms]).toEqual([503, 'STALE', null])
    const rows = [0, 1, 2, 4].map((seq) => ({
      version: 0,
      reading: reading({ epoch: 1, seq, ts: seq * MINUTE, power_w: seq, energy_wh: 10 * seq }),
    }))
    const other = {
      version: 0,
      reading: reading({ tenant_id: NASTY, sensor_id: NASTY, site_id: NASTY, ts: 1, power_w: 1 }),
    }
    const twins = ['t1', 't2'].map((tenant_id) => ({
      version: 0,
      reading: reading({ tenant_id, sensor_id: 'twin', ts: 1 }),
    }))
    await writer.write({
      ...batch([...rows, other, ...twins], progress(10 * MINUTE - 1_000, null)),
      anomalies: [anomaly({ ts: 5 })],
    })
    expect((await get('/sensors')).status).toBe(200)
  })

  it('EM-7: carries the freshness contract, and Age and Cache-Control agree', async () => {
    const { body, headers } = await get('/sensors/s/recent')
    expect(body).toMatchObject({
      as_of: 10 * MINUTE,
      data_through: 10 * MINUTE - 1_000,
      staleness_ms: 1_000,
      completeness: 0.8,
    })
    expect(headers.get('age')).toBe('1')
    expect(headers.get('cache-control')).toBe('private, max-age=5, must-revalidate')
    for (const path of ['/sensors', '/sites/site/agg?tenant=t', '/anomalies', '/status']) {
      expect(Object.keys((await get(path)).body)).toEqual(
        expect.arrayContaining(['as_of', 'data_through', 'staleness_ms', 'completeness']),
      )
    }
  })

  it('EM-7: never sends an answer staler than the bound, unless the client accepts more', async () => {
    expect((await get('/sensors?max_staleness=999ms')).status).toBe(503)
    expect((await get('/sensors?max_staleness=1s')).status).toBe(200)
    now += 4_001
    for (const path of ['/sensors', '/sensors/s/recent', '/sites/site/agg?tenant=t', '/anomalies', '/status']) {
      const { status, body, headers } = await get(path)
      expect([status, headers.get('retry-after'), headers.get('cache-control')]).toEqual([503, '1', 'no-store'])
      expect(body).toMatchObject({ status: 503, code: 'STALE', staleness_ms: 5_001, max_staleness_ms: 5_000 })
    }
    expect((await get('/sensors?max_staleness=1m')).body.staleness_ms).toBe(5_001)
    await writer.write({ rows: NO_ROWS, anomalies: [], progress: progress(now, 5) })
    expect((await get('/sensors')).body.staleness_ms).toBe(0)
  })

  it('EM-6: gives a sensor’s recent readings, newest first', async () => {
    const { body } = await get('/sensors/s/recent?limit=2')
    expect(body).toMatchObject({ tenant: 't', sensor: 's' })
    expect(body.readings).toEqual(
      [4, 2].map((seq) => ({
        ts: seq * MINUTE,
        power_w: seq,
        energy_wh: 10 * seq,
        epoch: 1,
        seq,
        site: 'site',
        node: 'node',
        tags: {},
        arrival: seq * MINUTE + 50,
        corrected: false,
      })),
    )
    expect(body.completeness).toBeCloseTo(2 / 3)
  })

  it('EM-6: aggregates a site by windows', async () => {
    const { body } = await get('/sites/site/agg?window=2m&from=0&to=300000&metric=power_w,energy_wh&tenant=t')
    expect(body).toMatchObject({
      site: 'site',
      sensors: 1,
      window_ms: 2 * MINUTE,
      from: 0,
      to: 5 * MINUTE,
      completeness: 0.8,
    })
    expect(body.windows).toEqual([
      {
        start: 0,
        count: 2,
        metrics: {
          power_w: { count: 2, min: 0, max: 1, avg: 0.5, sum: 1 },
          energy_wh: { count: 2, min: 0, max: 10, avg: 5, sum: 10, increase: 10, resets: 0 },
        },
      },
      {
        start: 2 * MINUTE,
        count: 1,
        metrics: {
          power_w: { count: 1, min: 2, max: 2, avg: 2, sum: 2 },
          energy_wh: { count: 1, min: 20, max: 20, avg: 20, sum: 20, increase: 10, resets: 0 },
        },
      },
      {
        start: 4 * MINUTE,
        count: 1,
        metrics: {
          power_w: { count: 1, min: 4, max: 4, avg: 4, sum: 4 },
          energy_wh: { count: 1, min: 40, max: 40, avg: 40, sum: 40, increase: 20, resets: 0 },
        },
      },
    ])
  })

  it('pages through sensors by `next`, whatever their names', async () => {
    const seen: unknown[] = []
    let after = ''
    for (let pages = 0; pages < 10; pages += 1) {
      const { body } = await get(`/sensors?limit=1${after}`)
      seen.push(...body.sensors.map((sensor: { tenant: string; sensor: string }) => [sensor.tenant, sensor.sensor]))
      if (body.next === null) break
      after = `&after=${body.next}`
    }
    expect(seen).toEqual([[NASTY, NASTY], ['t', 's'], ['t1', 'twin'], ['t2', 'twin']]) // prettier-ignore
    expect((await get(`/sensors/${encodeURIComponent(NASTY)}/recent`)).body.tenant).toBe(NASTY)
  })

  it('security 10: tenants never mix: a site of several is answered for one of them only, and the others are not named', async () => {
    const all = await get('/sites/site/agg?from=0&to=600000')
    expect([all.status, all.body.field, all.body.detail]).toEqual([
      400,
      'tenant',
      'tenant is missing: several tenants have a site of this name',
    ])
    for (const [tenant, count] of [
      ['t', 4],
      ['t1', 1],
      ['t2', 1],
    ] as const) {
      const { body } = await get(`/sites/site/agg?from=0&to=600000&window=10m&tenant=${tenant}`)
      expect([body.sensors, body.windows[0].count]).toEqual([1, count])
    }
    const nasty = encodeURIComponent(NASTY)
    expect((await get(`/sites/${nasty}/agg?from=0&to=600000`)).body.sensors).toBe(1)
    const wrong = await get('/sites/site/agg?tenant=t3')
    expect([wrong.status, wrong.body.detail]).toEqual([404, 'there is no site "site" of tenant "t3"'])
  })

  it('K10: an id or site that a path cannot carry is asked for in the query', async () => {
    const nasty = encodeURIComponent(NASTY)
    expect((await get(`/sensors/recent?id=${nasty}`)).body.sensor).toBe(NASTY)
    expect((await get(`/sites/agg?site=${nasty}&from=0&to=1000`)).body.site).toBe(NASTY)
    expect((await get('/sensors?id=twin')).body.sensors.map(({ tenant }: Body) => tenant)).toEqual(['t1', 't2'])
    expect((await get('/sensors?id=twin&tenant=t1')).body.sensors).toHaveLength(1)
    expect((await get('/sensors?id=..')).body.sensors).toEqual([])
  })

  it('K2: what depends on a partition that is behind is 503 and names it, other sensors are answered', async () => {
    // Of two partitions t/s is in one, and t1/twin and t2/twin tell which of them is the other.
    const before = now
    const paths = ['/sensors/s/recent?tenant=t', '/sensors/twin/recent?tenant=t1', '/sensors/twin/recent?tenant=t2']
    now += 20_000
    const moved = progress(now, 5).filter(({ partition }) => partition === 0)
    await writer.write({ rows: NO_ROWS, anomalies: [], progress: moved })
    const answers = await Promise.all(paths.map(get))
    const statuses = answers.map(({ status }) => status)
    expect(new Set(statuses)).toEqual(new Set([200, 503]))
    for (const { status, body } of answers)
      if (status === 200) expect(body.staleness_ms).toBe(0)
      else expect(body.behind.map(({ partition }: Body) => partition)).toEqual([1, 1])
    const site = await get('/sites/site/agg?tenant=t')
    expect([site.status, site.body.behind.map(({ topic, partition }: Body) => `${topic}/${partition}`)]).toEqual([
      503,
      ['telemetry.clean/1', 'telemetry.late/1'],
    ])
    now = before
  })

  it('lists anomalies and counts what is stored', async () => {
    expect((await get('/anomalies?sensor=s')).body.anomalies).toEqual([anomaly({ ts: 5 })])
    expect((await get('/anomalies?site=elsewhere')).body.anomalies).toEqual([])
    expect((await get('/status')).body).toMatchObject({ readings: 7, sensors: 4, anomalies: 1, superseded: 0 })
  })

  it.each([
    ['/sensors?limit=x', 400, 'limit'],
    ['/sensors?what=1', 400, 'what'],
    ['/sensors/twin/recent', 400, 'tenant'],
    ['/sensors/twin/recent?tenant=t3', 404, 'of tenant "t3"'],
    ['/sites/site/agg?tenant=t3', 404, 'of tenant "t3"'],
    ['/sensors/s/recent?id=s', 400, 'id is not a parameter here'],
    ['/sensors/recent', 400, 'id is missing'],
    ['/sites/agg', 400, 'site is missing'],
    ['/?x=1', 400, 'x is not a parameter here'],
    ['/config?wait=1s', 400, 'wait is not a parameter here'],
    ['/anomalies?from=2&to=1', 400, 'from: expected a time before'],
    ['/anomalies?from=2026-01-01T00:00:00+02:00', 400, '%2B02:00'],
    ['/anomalies?from=2026-02-30T00:00:00Z', 400, 'there is no day 2026-02-30'],
    ['/sites/site/agg?window=1s&from=-9999999', 400, 'window'],
    ['/sensors/nobody/recent', 404, 'nobody'],
    ['/sites/nowhere/agg', 404, 'nowhere'],
    ['/nothing', 404, '/nothing'],
    ['/sensors/%E0%A4%A/recent', 400, ''],
  ])('answers %s with problem+json, status %i, naming %s', async (path, status, name) => {
    const answer = await get(path)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
    expect(answer.body.detail).toContain(name)
  })

  it.each([
    ['/sensors/..%2f..%2f..%2fetc%2fpasswd/recent', 404],
    ["/sensors/x'%20OR%20'1'='1/recent", 404],
    ['/sensors/s%00/recent', 404],
    ['/sensors/a%0d%0aSet-Cookie:x=1/recent', 404],
    ['/sensors/__proto__/recent', 404],
    ['/sites/constructor/agg', 404],
    ['/web/home.html', 404],
    ['/sensors?__proto__=1', 400],
    ['/sensors?limit[__proto__]=1', 400],
    ['/sites/site/agg?metric=constructor', 400],
    ['/sites/site/agg?metric=power_w)%20FROM%20readings--', 400],
  ])('a path, SQL, header or prototype in %s is a name like any other: status %i', async (path, status) => {
    const answer = await get(path)
    expect(answer.status).toBe(status)
    expect(answer.headers.get('set-cookie')).toBeNull()
    expect((await get('/sensors/s/recent')).body.readings).toHaveLength(4)
  })

  it('shows a page without foreign assets on which every text is escaped', async () => {
    const response = await fetch(url)
    const html = await response.text()
    expect(html).not.toContain('<img')
    expect(html).toContain(`/sensors/${encodeURIComponent(NASTY).replaceAll("'", '&#39;')}/recent`)
    expect(html).not.toMatch(/(src|href)="https?:|<!--/)
    const policy = response.headers.get('content-security-policy')!
    expect(policy).toContain("default-src 'none'")
    const { createHash } = await import('node:crypto')
    for (const tag of ['style', 'script']) {
      const inline = new RegExp(`<${tag}>([\\s\\S]*?)</${tag}>`).exec(html)![1]
      expect(policy).toContain(createHash('sha256').update(inline).digest('base64'))
    }
  })

  it('EM-6: has health and metrics', async () => {
    expect((await get('/healthz')).body).toEqual({ live: true })
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/plumbline_query_seconds_count\{[^}]*route="\/sensors",status="200"\} \d+/)
  })

  // The last one: it deletes what the others read.
  it('EM-6: says 410 where what a window needs has been deleted by its age', async () => {
    const keep = { rows: 0, '1s': 0, '1m': 0, '1h': null }
    while (await writer.maintain(60 * MINUTE, keep));
    const { status, body } = await get('/sites/site/agg?tenant=t&window=1m&from=0&to=300000')
    expect([status, body.code]).toEqual([410, 'STORE_EXPIRED'])
    expect(body.detail).toContain('only aggregates of 1h and longer are kept')
    expect((await get('/sites/site/agg?tenant=t&window=1h&from=0&to=3600000')).status).toBe(200)
  })
})
