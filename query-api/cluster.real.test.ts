// The cluster as GET /cluster and `plumbline cluster` show it, with every service as a process: they come, leave cleanly,
// are killed, and the broker goes away. Heartbeats are frequent, so that time-outs are short.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { CurrentView, MemberState, View } from '../platform/membership/cluster-state.ts'
import { FRAME_BYTES } from '../platform/codec/reading.ts'
import { type Heartbeat, heartbeatType } from '../platform/membership/heartbeat.ts'
import { NODES } from '../schemas/topics.ts'
import type { ServiceProcess } from '../test/fixtures/processes.ts'
import { startStack, type Stack } from '../test/fixtures/refine.ts'
import { readTopic } from '../test/fixtures/topic-records.ts'

const ROOT = new URL('..', import.meta.url).pathname
const WAIT_MS = 60_000
const QUICK = { HEARTBEAT_MS: '400', HEARTBEAT_TIMEOUT_MS: '3000', LOG_LEVEL: 'info' }

let stack: Stack
let folder: string
let api: string
let services: Record<'refine' | 'sinks' | 'producers' | 'query', ServiceProcess>

const portOf = (service: ServiceProcess): number => Number(/"port":(\d+)/.exec(service.output())![1])
const memberOf = (service: string, { pid }: ServiceProcess): RegExp => new RegExp(`^${service}@.*-${pid}$`)

beforeAll(async () => {
  stack = await startStack(2)
  folder = mkdtempSync(join(tmpdir(), 'plumbline-cluster-'))
  const env = (more: Record<string, string> = {}) =>
    stack.env({ ...QUICK, DATA_DIR: folder, SQLITE_FILE: join(folder, 'store.sqlite'), ...more })
  const [refine, sinks, query, producers] = await Promise.all([
    stack.startRefine({ ...QUICK, SEQUENCER_SESSION_MS: '3000' }),
    stack.processes.start({ main: 'sinks/main.ts', env: env({ SINKS_PORT: '0' }), ready: { output: '"listening"' } }),
    stack.processes.start({
      main: 'query-api/main.ts',
      env: env({ QUERY_API_PORT: '0' }),
      ready: { output: '"listening"' },
    }),
    stack.processes.start({
      main: 'producers/main.ts',
      args: ['--nodes', '2', '--sensors', '4'],
      env: env({ PRODUCERS_PORT: '0' }),
      ready: { output: 'producers run' },
    }),
  ])
  services = { refine, sinks, query, producers }
  api = `http://127.0.0.1:${portOf(query)}`
})
afterAll(async () => {
  await stack?.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: { view: CurrentView | null; views: View[]; staleness_ms: number; code: string; data_through: number }
}

async function get(path: string): Promise<Answer> {
  const response = await fetch(api + path)
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

/** Waits for an answer that `holds`. */
async function until(holds: (answer: Answer) => boolean, path = '/cluster'): Promise<Answer> {
  let answer: Answer | undefined
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(100)) {
    answer = await get(path)
    if (holds(answer)) return answer
  }
  throw new Error(`${path} still answers ${JSON.stringify(answer)}`)
}

const find = ({ body }: Answer, id: RegExp | string): MemberState | undefined =>
  body.view?.members.find(({ node_id }) => (typeof id === 'string' ? node_id === id : id.test(node_id)))

/** All heartbeats that a member ever sent, as far as they are kept. */
async function heartbeatsOf(id: RegExp | string): Promise<Heartbeat[]> {
  const [records] = await readTopic(stack.kafka, NODES)
  return records
    .filter(({ key, value }) => value !== null && key!.toString().search(id) === 0)
    .map(({ value }) => heartbeatType.fromBuffer(value!.subarray(FRAME_BYTES)) as Heartbeat)
}

const nodes = (method: string, path: string, body?: object): Promise<Response> =>
  fetch(`http://127.0.0.1:${portOf(services.producers)}/nodes${path}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })

function plumbline(...args: string[]): ChildProcess {
  const own = { PATH: process.env.PATH, NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/compile` }
  const env = { ...stack.env({ DATA_DIR: folder, QUERY_API_PORT: new URL(api).port }), ...own }
  return spawn(process.execPath, [`${ROOT}cli/main.ts`, 'cluster', ...args], { env })
}

async function untilPrinted(output: { text: string }, text: string): Promise<void> {
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(50))
    if (output.text.includes(text)) return
  throw new Error(`${text} was not printed, but ${output.text}`)
}

/** What it has printed so far, and in the end. */
function printed(child: ChildProcess): { text: string } {
  const output = { text: '' }
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (bytes: Buffer) => (output.text += bytes.toString()))
  return output
}

async function show(...args: string[]): Promise<string> {
  const child = plumbline(...args)
  const output = printed(child)
  await once(child, 'close')
  return output.text
}

describe('the cluster', () => {
  test('DS-3: every process is a member, of its kind, with a heartbeat that is fresh by the broker’s clock', async () => {
    const expected: readonly (readonly [RegExp | string, string])[] = [
      [memberOf('stream-jobs', services.refine), 'stream-jobs'],
      [memberOf('sinks', services.sinks), 'sinks'],
      [memberOf('query-api', services.query), 'query-api'],
      [memberOf('producers', services.producers), 'ingest'],
      ['node-0001', 'producer'],
      ['node-0002', 'producer'],
    ]
    const answer = await until((one) => expected.every(([id]) => (find(one, id)?.heartbeat ?? null) !== null))
    for (const [id, kind] of expected) {
      const member = find(answer, id)!
      expect(member).toMatchObject({ kind, config_version: 0, heartbeat: { final: false } })
      expect(member.heartbeat!.age_ms).toBeLessThan(WAIT_MS)
      expect(member.since).toBeLessThanOrEqual(member.heartbeat!.at)
      expect(member.heartbeat!.diagnostics === null).toBe(!['producer', 'ingest'].includes(kind))
    }
    const { view, staleness_ms, data_through } = answer.body
    expect(view!.members).toHaveLength(expected.length)
    expect(view!.leader).toMatch(memberOf('stream-jobs', services.refine))
    expect(staleness_ms).toBeLessThanOrEqual(5_000)
    expect(data_through).toBeLessThanOrEqual(Date.now())
    expect(find(answer, 'node-0001')!.heartbeat!.accepted).toBeGreaterThan(0)
  })

  test('MI-7: a node that comes is a member at once, one that goes says so and is one no more', async () => {
    const before = (await get('/cluster')).body.view!
    const watching = plumbline('--watch')
    const watched = printed(watching)
    await untilPrinted(watched, `view ${before.view_id} `)
    expect((await nodes('POST', '', { id: 'annex' })).status).toBe(201)
    const joined = await until((answer) => find(answer, 'annex') !== undefined)
    expect(joined.body.view!.view_id).toBeGreaterThan(before.view_id)
    expect((await nodes('DELETE', '/annex')).status).toBe(200)
    expect((await heartbeatsOf('annex')).map(({ final }) => final)).toEqual(
      expect.arrayContaining([false, true]) as boolean[],
    )
    const left = await until((answer) => find(answer, 'annex') === undefined)
    await untilPrinted(watched, `view ${left.body.view!.view_id} `)
    watching.kill('SIGINT')
    expect(await once(watching, 'close')).toEqual([0, null])
    const { body } = await get(`/cluster/views?limit=100`)
    const ids = body.views.map(({ view_id }) => view_id)
    expect(ids).toEqual(Array.from({ length: ids.length }, (_, i) => left.body.view!.view_id - 1 - i))
    expect(body.views.some(({ members }) => members.some(({ node_id }) => node_id === 'annex'))).toBe(true)
  })

  test('DS-3: the command line shows members, the leader and what views changed; an unknown limit is refused', async () => {
    const { view } = (await get('/cluster')).body
    const [table, changes] = await Promise.all([show(), show('--views', '2')])
    for (const { node_id } of view!.members) expect(table).toContain(node_id)
    expect(table).toContain(`${view!.leader} (leader)`)
    expect(changes).toMatch(/^view \d+ .* -annex\nview \d+ .* \+annex\n$/)
    expect((await get('/cluster/views?limit=101')).status).toBe(400)
  })

  test('MI-8: a clean stop ends with a final heartbeat, and the member leaves before its time is out', async () => {
    expect(await services.sinks.stop()).toBe(0)
    expect((await heartbeatsOf(memberOf('sinks', services.sinks))).at(-1)).toMatchObject({ final: true, kind: 'sinks' })
    await until((answer) => find(answer, memberOf('sinks', services.sinks)) === undefined)
    expect(await services.producers.stop()).toBe(0)
    for (const id of ['node-0001', 'node-0002', memberOf('producers', services.producers)])
      expect((await heartbeatsOf(id)).at(-1)).toMatchObject({ final: true })
    await until(({ body }) => body.view?.members.length === 2)
  })

  test('EM-7: without the broker the state is shown for as long as the bound allows, then only to clients that accept it; later again', async () => {
    await stack.broker.kill()
    const stale = await until(({ status }) => status === 503, '/cluster?max_staleness=1s')
    expect(stale.body.code).toBe('STALE')
    expect(stale.headers.get('retry-after')).toBe('2')
    expect((await get('/cluster?max_staleness=1h')).body.view!.members).toHaveLength(2)
    expect((await fetch(`${api}/sensors?max_staleness=1h`)).status).toBe(200)
    await stack.broker.restart()
    await until(({ status, body }) => status === 200 && body.view!.members.length === 2)
  })

  test('MI-8: the query API starts and serves the store without a broker, says 503 of the cluster, and stops cleanly', async () => {
    const env = stack.env({
      ...{ ...QUICK, QUERY_API_PORT: '0', SQLITE_FILE: join(folder, 'store.sqlite') },
      ...{ KAFKA_BROKERS: '127.0.0.1:1', REGISTRY_URL: 'http://127.0.0.1:1' },
    })
    const alone = await stack.processes.start({ main: 'query-api/main.ts', env, ready: { output: '"listening"' } })
    const url = `http://127.0.0.1:${portOf(alone)}`
    const cluster = await fetch(`${url}/cluster`)
    expect([cluster.status, cluster.headers.get('retry-after')]).toEqual([503, '2'])
    expect(cluster.headers.get('content-type')).toContain('application/problem+json')
    expect(await cluster.json()).toMatchObject({ code: 'NOT_READ', staleness_ms: null })
    expect((await fetch(`${url}/sensors?max_staleness=1h`)).status).toBe(200)
    expect(await alone.stop()).toBe(0)
  })
})
