// The compose file, started for real (EM-9): readings go in by POST /readings and come back by REST and kcat while one
// service after another is killed and stream-jobs is scaled up and down; every panel of the dashboard is asked of the
// Prometheus that scrapes the running pipeline (MI-13); volumes outlive the containers; at the end `plumbline audit`
// in a container gives account of every reading. The tests build on each other, in order.
//
// By default with deploy/docker/sqlite.yml; the whole file with COMPOSE_FILE=docker-compose.yml make test-compose.
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, onTestFailed, test } from 'vitest'
import { Compose, eventually, missingEngine } from './engine.test-support.ts'

const missing = await missingEngine()
// Nobody is helped by a green run that has run nothing.
if (missing !== null && process.env.CI === 'true') throw new Error(missing)
if (missing !== null) process.stderr.write(`skipped: ${missing}\n`)

const MINUTE_MS = 60_000
/** Ours: what runs in them must not be root. */
const SERVICES = ['producers', 'stream-jobs', 'sinks', 'query-api']
const PARTITIONS = 6
const SITE = 'compose'
/** A simulated load that two cores carry beside everything else. */
const LOAD = { LOAD: '--sensors 60 --rate 2 --burst-every 20s --burst-length 5s' }

let compose: Compose
let token = ''
const sent = new Map<string, number>()

const authorized = (): Record<string, string> => ({ authorization: `Bearer ${token}` })

async function ask<T>(path: string): Promise<T> {
  const response = await fetch(compose.url('QUERY_API', path), { headers: authorized() })
  if (!response.ok) throw new Error(`GET ${path}: ${response.status} ${await response.text()}`)
  return (await response.json()) as T
}

/** Sends readings of one sensor, a millisecond apart; resolves when they are accepted. */
async function send(sensor: string, count: number): Promise<void> {
  const ts = Date.now() - count
  const lines = Array.from({ length: count }, (_, i) =>
    JSON.stringify({ sensor_id: sensor, site_id: SITE, ts: ts + i, power_w: 100 + i }),
  )
  const response = await fetch(compose.url('PRODUCERS', '/readings'), {
    method: 'POST',
    headers: { ...authorized(), 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  })
  expect(await response.json()).toMatchObject({ accepted: count, rejected_count: 0 })
  sent.set(sensor, (sent.get(sensor) ?? 0) + count)
}

/** Every reading that was accepted is in the store, once. */
async function expectStored(): Promise<void> {
  await eventually('everything that was accepted is answered by REST', 90, async (why) => {
    const { sensors } = await ask<{ sensors: { sensor: string; count: number }[] }>('/sensors?limit=1000')
    const stored = new Map(sensors.map(({ sensor, count }) => [sensor, count]))
    const wrong = [...sent].filter(([sensor, count]) => stored.get(sensor) !== count)
    why(wrong.map(([sensor, count]) => `${sensor}: ${stored.get(sensor) ?? 0} of ${count}`).join(', '))
    return wrong.length === 0 ? true : null
  })
}

interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

async function prometheus(query: string): Promise<readonly Sample[]> {
  const response = await fetch(compose.url('PROMETHEUS', `/api/v1/query?${new URLSearchParams({ query })}`))
  const body = (await response.json()) as { error?: string; data?: { result: readonly Sample[] } }
  if (body.data === undefined) throw new Error(`${query}: ${body.error}`)
  return body.data.result
}

/** How many processes share the partitions, as Prometheus sees them, once each partition has one owner. */
async function expectShared(processes: number): Promise<void> {
  await eventually(`${processes} stream jobs share ${PARTITIONS} partitions`, 90, async (why) => {
    const owners = await prometheus('count by (instance) (plumbline_refine_lag_records)')
    const shares = owners.map(({ value }) => Number(value[1]))
    why(`shares: ${shares.join(', ')}`)
    const total = shares.reduce((sum, share) => sum + share, 0)
    return shares.length === processes && total === PARTITIONS ? true : null
  })
}

test.skipIf(missing !== null)(
  'the override swaps in the embedded store and our own registry and leaves Grafana out, nothing else',
  async () => {
    const alone = await Compose.create({})
    const services = async (...files: string[]): Promise<Record<string, Service>> => {
      const args = [...files.flatMap((file) => ['-f', file]), '--profile', '*', 'config', '--format', 'json']
      return (JSON.parse(await alone.do(args)) as { services: Record<string, Service> }).services
    }
    const whole = await services('docker-compose.yml')
    const swapped = await services('docker-compose.yml', 'deploy/docker/sqlite.yml')
    expect(Object.keys(whole).filter((name) => !(name in swapped))).toEqual(['grafana', 'tdengine'])
    for (const [name, service] of Object.entries(swapped)) {
      if (name === 'schema-registry') continue
      const expected = structuredClone(whole[name])
      if (expected.environment?.STORE !== undefined) expected.environment.STORE = 'sqlite'
      delete expected.depends_on?.tdengine
      expect([name, service]).toEqual([name, expected])
    }
  },
)

interface Service {
  readonly environment?: Record<string, string | null>
  readonly depends_on?: Record<string, unknown>
}

describe.skipIf(missing !== null)('docker compose up', { timeout: 5 * MINUTE_MS }, () => {
  beforeAll(async () => {
    compose = await Compose.create({ TOPIC_PARTITIONS: String(PARTITIONS), ...LOAD })
    await compose.do(['build'])
    await compose.do(['up', '--detach', '--wait', '--wait-timeout', '300'])
    token = (await compose.do(['exec', '-T', 'query-api', 'cat', '/run/plumbline/api-token'])).trim()
  }, 15 * MINUTE_MS)

  afterAll(async () => {
    await compose?.do(['--profile', '*', 'down', '--volumes', '--timeout', '20'])
  }, 3 * MINUTE_MS)

  const showLogsOnFailure = (): void =>
    onTestFailed(async () => void process.stderr.write(await compose.do(['logs', '--tail', '15'])))

  test('every service is healthy, and what is published is published on loopback only', async () => {
    const containers = await compose.containers()
    expect(containers.map(({ Service }) => Service)).toEqual(
      expect.arrayContaining([...SERVICES, 'kafka', 'prometheus']),
    )
    for (const { Service, Health } of containers) expect([Service, Health]).toEqual([Service, 'healthy'])
    const published = containers.flatMap(({ Publishers }) => Publishers ?? []).filter((at) => at.PublishedPort > 0)
    expect(published.length).toBeGreaterThan(4)
    expect(new Set(published.map(({ URL }) => URL))).toEqual(new Set(['127.0.0.1']))
  })

  test('our containers run without root and cannot change their own code', async () => {
    for (const service of SERVICES) {
      expect((await compose.do(['exec', '-T', service, 'id', '-u'])).trim()).toBe('1000')
      await expect(compose.do(['exec', '-T', service, 'touch', 'package.json'])).rejects.toThrow(
        /Permission denied|Read-only/,
      )
    }
  })

  test('without the token nothing is taken and nothing is answered', async () => {
    for (const url of [compose.url('QUERY_API', '/sensors'), compose.url('PRODUCERS', '/readyz')])
      expect((await fetch(url)).status).toBe(401)
    expect((await fetch(compose.url('PRODUCERS', '/readings'), { method: 'POST', body: '{}' })).status).toBe(401)
  })

  test('EM-9: readings sent by POST /readings come back by REST and by kcat', async () => {
    showLogsOnFailure()
    for (const sensor of ['a', 'b', 'c']) await send(sensor, 200)
    await expectStored()
    const recent = await ask<{ readings: { power_w: number }[] }>('/sensors/a/recent?limit=3')
    expect(recent.readings.map(({ power_w }) => power_w)).toEqual([299, 298, 297])
    const keys = await compose.do([
      ...['run', '--rm', '-T', 'kcat', '-C', '-t', 'telemetry.clean', '-o', 'beginning', '-e', '-q', '-f', '%k\n'],
    ])
    const counted = Map.groupBy(keys.trim().split('\n'), (key) => key.slice(key.indexOf('/') + 1))
    expect([...counted].map(([sensor, all]) => [sensor, all.length]).sort()).toEqual([...sent].sort())
  })

  test('what cannot be read goes to the dead letters, with its bytes', async () => {
    await compose.do(['run', '--rm', '-T', 'kcat', '-P', '-t', 'telemetry.raw', '-k', 'default/broken'], 'garbage\n')
    await eventually('the dead letter', 30, async (why) => {
      const args = ['-C', '-t', 'telemetry.dlq', '-o', 'beginning', '-e', '-q', '-f', '%k %s\n']
      const letters = await compose.do(['run', '--rm', '-T', 'kcat', ...args])
      why(letters)
      return letters.includes('default/broken garbage') ? true : null
    })
  })

  test.each(['stream-jobs', 'sinks', 'query-api', 'producers', 'schema-registry', 'redis', 'prometheus', 'kafka'])(
    '%s is killed and comes back; nothing that was accepted is lost or doubled',
    async (service) => {
      showLogsOnFailure()
      await send('killed', 100)
      await compose.do(['kill', '--signal', 'KILL', service])
      if (service !== 'producers') await send('killed', 100)
      await compose.do(['up', '--detach', '--no-deps', '--wait', '--wait-timeout', '180', service])
      await send('killed', 100)
      await expectStored()
    },
  )

  test('stream-jobs are scaled to 3 and back; each partition has one owner, and readings continue', async () => {
    showLogsOnFailure()
    for (const replicas of [3, 1]) {
      const scale = ['--no-recreate', '--no-deps', '--scale', `stream-jobs=${replicas}`, 'stream-jobs']
      await send('scaled', 100)
      await compose.do(['up', '--detach', '--wait', '--wait-timeout', '180', ...scale])
      expect(await compose.containers('stream-jobs')).toHaveLength(replicas)
      await expectShared(replicas)
      await send('scaled', 100)
      await expectStored()
    }
  })

  test('the profile "load" adds simulated nodes, and every panel of the dashboard has data (MI-13)', async () => {
    showLogsOnFailure()
    await compose.do(['--profile', 'load', 'up', '--detach', '--wait', '--wait-timeout', '180', '--no-recreate'])
    const queries = panelQueries()
    expect(queries.length).toBeGreaterThan(30)
    await eventually('data for every panel', 120, async (why) => {
      // Panels about requests need requests.
      await ask('/sensors?limit=10')
      await send('panels', 5)
      const results = await Promise.all(queries.map(async ({ expr }) => prometheus(expr)))
      const empty = queries.filter((_, i) => !results[i].some(({ value }) => Number.isFinite(Number(value[1]))))
      why(empty.map(({ title, expr }) => `${title}: ${expr}`).join('\n'))
      return empty.length === 0 ? true : null
    })
    const found = await prometheus('count by (room) (process_start_time_seconds{job="plumbline"})')
    expect(new Set(found.map(({ metric }) => metric.room))).toEqual(new Set(SERVICES))
    await compose.do(['run', '--rm', '-T', 'kcat', '-P', '-t', 'telemetry.raw', '-k', 'default/broken'], 'garbage\n')
    await eventually('the dead letter in its panel', 60, async () => {
      const [letters] = await prometheus(queries.find(({ title }) => title === 'Dead letters')!.expr)
      return Number(letters.value[1]) > 0 ? true : null
    })
  })

  test('DS-1 DS-3 DS-4: the order is gapless, every service is a member, and a replica in its profile has every reading', async () => {
    showLogsOnFailure()
    await compose.do(['--profile', 'replicas', 'up', '--detach', '--wait', '--wait-timeout', '180', '--no-recreate'])
    const verified = await compose.do(['run', '--rm', '-T', 'plumbline', 'order', 'verify'])
    expect(verified).toMatch(/^gapless: /)
    const next = Number(/sequences 0 to (\d+)/.exec(verified)![1]) + 1
    const file = ['exec', '-T', 'replica', 'cat', '/var/lib/plumbline/replica/r1/replica.json']
    await eventually('every reading in the replica', 60, async (why) => {
      const state = JSON.parse(await compose.do(file)) as { next_sequence: number | null }
      why(`${state.next_sequence} of ${next}`)
      return (state.next_sequence ?? 0) >= next ? true : null
    })
    await eventually('all kinds of members', 30, async (why) => {
      const answer = await compose.do(['run', '--rm', '-T', 'plumbline', 'cluster', '--json'])
      const { view } = JSON.parse(answer) as { view: { leader: string; members: { node_id: string; kind: string }[] } }
      const kinds = new Set(view.members.map(({ kind }) => kind))
      why([...kinds].join(', '))
      const leader = view.members.find(({ node_id: id }) => id === view.leader)
      const wanted = ['producer', 'stream-jobs', 'sinks', 'query-api', 'replica']
      return wanted.every((kind) => kinds.has(kind)) && leader?.kind === 'stream-jobs' ? true : null
    })
  })

  test('volumes keep the data when the containers are removed', async () => {
    showLogsOnFailure()
    await compose.do(['--profile', '*', 'down', '--timeout', '30'])
    await compose.do(['up', '--detach', '--wait', '--wait-timeout', '300'])
    await expectStored()
    await send('after', 50)
    await expectStored()
  })

  test('X-2: the audit in a container accounts for every reading, those of the load generator included', async () => {
    for (const folder of ['producers', 'load']) {
      const dataDir = ['-e', `DATA_DIR=/var/lib/plumbline/${folder}`]
      const text = await compose.do(['run', '--rm', '-T', ...dataDir, 'plumbline', 'audit', '--wait', '60s', '--json'])
      const { balanced, table } = JSON.parse(text) as { balanced: boolean; table: { sent: { accepted: number } } }
      expect(balanced).toBe(true)
      if (folder === 'load') expect(table.sent.accepted).toBeGreaterThan(0)
      else expect(table.sent.accepted).toBe([...sent.values()].reduce((sum, count) => sum + count, 0))
    }
  })
})

/** The queries of all panels, with Grafana's own interval filled in. */
function panelQueries(): { title: string; expr: string }[] {
  const file = new URL('../grafana/dashboards/plumbline.json', import.meta.url)
  const { panels } = JSON.parse(readFileSync(file, 'utf8')) as {
    panels: { title: string; targets?: { expr: string }[] }[]
  }
  return panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ title, expr: expr.replaceAll('$__rate_interval', '30s') })),
  )
}
