// The runtime configuration on the real parts: written by REST, applied by the nodes of a producers' process and by
// stream jobs, acknowledged by each; and what must not get through: lost updates, wrong values, garbage in the topic.
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { NODE, ROOT } from '../../deploy/paths.ts'
import { freePorts } from '../../platform/free-port.ts'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { heartbeatBatches, plainHeartbeat } from '../../platform/membership/heartbeat.ts'
import { configBatch, ConfigReader } from '../../platform/runtime-config/codec.ts'
import { NOTHING_SET, type RuntimeConfig } from '../../platform/runtime-config/document.ts'
import { baseValues } from '../../platform/runtime-config/settings.ts'
import { ConfigWriter, LostUpdate } from '../../platform/runtime-config/writer.ts'
import { CONTROL_HEADER } from '../../schemas/refine.ts'
import { CONFIG, NODES, RAW } from '../../schemas/topics.ts'
import { readMetric } from '../fixtures/metric.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { schemasOf, startStack, type Stack } from '../fixtures/refine.ts'
import { fleetArguments, fleetWith } from '../../producers/nodes/options.ts'

const WAIT_MS = 60_000
const MEMBERS = { HEARTBEAT_MS: '300', HEARTBEAT_TIMEOUT_MS: '3000' }
const folder = mkdtempSync(join(tmpdir(), 'plumbline-config-'))
let stack: Stack
let api: string
let producersUrl: string
let refine: ServiceProcess
let query: ServiceProcess
let producers: ServiceProcess
let services: Readonly<Record<string, string>>

const startRefine = (member: string): Promise<ServiceProcess> => stack.startRefine({ ...MEMBERS, MEMBER_ID: member })
const startQuery = (): Promise<ServiceProcess> =>
  stack.processes.start({ main: 'query-api/main.ts', env: services, ready: { output: '"listening"' } })
const FLEET = fleetArguments(fleetWith({ nodes: 2, sensors: 4, rateHz: 5 }))
const startProducers = (): Promise<ServiceProcess> =>
  stack.processes.start({ main: 'producers/main.ts', args: FLEET, env: services, ready: { output: 'producers run' } })

beforeAll(async () => {
  stack = await startStack(2)
  const [apiPort, producersPort] = await freePorts(2)
  api = `http://127.0.0.1:${apiPort}`
  producersUrl = `http://127.0.0.1:${producersPort}`
  services = stack.env({
    ...MEMBERS,
    DATA_DIR: folder,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    QUERY_API_PORT: String(apiPort),
    PRODUCERS_PORT: String(producersPort),
    LOG_LEVEL: 'info',
  })
  ;[query, producers, refine] = await Promise.all([startQuery(), startProducers(), startRefine('jobs-1')])
})
afterAll(async () => {
  await stack.stop()
  rmSync(folder, { recursive: true, force: true })
})

interface Member {
  readonly node_id: string
  readonly version: number
  readonly refused: string | null
}
interface Answer {
  readonly status: number
  readonly etag: string | null
  readonly body: {
    version: number
    scopes: object
    applied: Member[]
    pending: Member[]
    field: string
    detail: string
    current_version: number
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const { status, headers } = response
  return { status, etag: headers.get('etag'), body: (await response.json()) as Answer['body'] }
}
const get = async (): Promise<Answer> => answerOf(await fetch(`${api}/config`))
const put = async (scopes: object, ifMatch: string | null, query = ''): Promise<Answer> =>
  answerOf(
    await fetch(`${api}/config${query}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json', ...(ifMatch === null ? {} : { 'if-match': ifMatch }) },
      body: JSON.stringify({ scopes }),
    }),
  )

async function until(what: string, holds: (answer: Answer) => boolean): Promise<Answer> {
  let answer: Answer | undefined
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(50)) {
    answer = await get()
    if (holds(answer)) return answer
  }
  throw new Error(`${what} is not so after ${WAIT_MS / 1_000} s: ${JSON.stringify(answer)}`)
}

/** `plumbline config …` against this stack. */
async function plumbline(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = {
    PATH: process.env.PATH,
    DATA_DIR: join(folder, 'cli'),
    QUERY_API_PORT: new URL(api).port,
    NODE_COMPILE_CACHE: `${ROOT}node_modules/.cache/compile`,
  }
  const child = spawn(NODE, [`${ROOT}cli/main.ts`, 'config', ...args], { env })
  const [stdout, stderr, code] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number>((resolve) => child.once('exit', (exitCode) => resolve(exitCode ?? -1))),
  ])
  return { code, stdout, stderr }
}

const idsOf = (members: readonly Member[] = []): string[] => members.map(({ node_id }) => node_id)

/** All acceptable versions that are in the topic, in order. */
async function versionsInLog(): Promise<RuntimeConfig[]> {
  const [{ start, end }] = await stack.admin.offsetRanges(CONFIG)
  const reader = await stack.kafka.rangeReader()
  const decoder = new ConfigReader(schemasOf(stack))
  const found: RuntimeConfig[] = []
  await reader.read({ topic: CONFIG, partition: 0 }, start, end, async ({ batches }) => {
    for (const batch of batches)
      for (let i = 0; i < batch.count; i += 1) {
        const read = await decoder.read(String(batch.key(i)), batch.value(i))
        if ('config' in read) found.push(read.config)
      }
  })
  await reader.close()
  return found
}

/** Settings that were sent to refine's partitions so far. */
async function settingsControls(): Promise<number> {
  const ranges = await stack.admin.offsetRanges(RAW)
  const reader = await stack.kafka.rangeReader()
  let count = 0
  for (const [partition, { start, end }] of ranges.entries())
    await reader.read({ topic: RAW, partition }, start, end, ({ batches }) => {
      for (const batch of batches)
        for (let i = 0; i < batch.count; i += 1)
          if (batch.headers(i).some(({ key, value }) => key === CONTROL_HEADER && String(value) === 'settings'))
            count += 1
    })
  await reader.close()
  return count
}

describe('the runtime configuration on the real parts', () => {
  test('MI-5: a change with ?wait= is answered when every node and the stream jobs have applied it', async () => {
    const before = await until('three members are there', ({ body }) => idsOf(body.applied).length === 3)
    expect([before.etag, before.body.version]).toEqual(['"0"', 0])
    const scopes = { fleet: { 'detector.z': 4, 'producer.rate_hz': 20 }, 'node:node-0002': { 'producer.rate_hz': 2 } }
    const { status, etag, body } = await put(scopes, before.etag, '?wait=30s')
    expect([status, etag, body.pending]).toEqual([200, '"1"', []])
    expect(body.applied.map(({ node_id, version }) => [node_id, version])).toEqual([
      ['jobs-1', 1],
      ['node-0001', 1],
      ['node-0002', 1],
    ])
    expect((await get()).body).toMatchObject({ version: 1, scopes })
    // Heartbeats say the same.
    const cluster = await until('heartbeats name the version', ({ body: { applied } }) => applied.every((m) => m.version === 1)) // prettier-ignore
    expect(idsOf(cluster.body.applied)).toHaveLength(3)
  })

  test('MI-5: a lost update is refused with 412 and the current version, one without If-Match with 428', async () => {
    const lost = await put({ fleet: { 'detector.z': 9 } }, '"0"')
    expect([lost.status, lost.etag, lost.body.current_version]).toEqual([412, '"1"', 1])
    expect((await put({ fleet: {} }, null)).status).toBe(428)
    expect((await get()).body).toMatchObject({ version: 1, scopes: { fleet: { 'detector.z': 4 } } })
  })

  test.each([
    [{ fleet: { 'detector.z': 0 } }, 'fleet/detector.z', '0.1'],
    [{ fleet: { 'detector.zz': 3 } }, 'fleet/detector.zz', 'detector.z'],
    [{ 'site:a': { 'refine.hold_back_ms': 3 } }, 'site:a/refine.hold_back_ms', 'fleet'],
    [{ fleet: { 'detector.window': 10 } }, 'fleet/detector.min_samples', '10'],
  ])(
    'MI-5: %j is refused with 400 naming field and limit, and nothing reaches the topic',
    async (scopes, field, limit) => {
      const [{ end }] = await stack.admin.offsetRanges(CONFIG)
      const { status, body } = await put(scopes, '"1"')
      expect([status, body.field]).toEqual([400, field])
      expect(body.detail).toContain(limit)
      expect((await stack.admin.offsetRanges(CONFIG))[0].end).toBe(end)
      expect((await get()).body.version).toBe(1)
    },
  )

  test('MI-5: garbage in the topic is refused by everybody, acknowledged as refused, and the version stays', async () => {
    const schemaId = stack.schemaIds.get(CONFIG)!
    const garbage = new RecordBatchBuilder()
    garbage.add(Buffer.from('config'), Buffer.from('{"detector.z":1}'))
    garbage.add(Buffer.from('config'), null)
    const tooMuch = { version: 7, at: 0, scopes: { fleet: { 'detector.z': 99_999 } } } as unknown as RuntimeConfig
    const foreigner = await stack.kafka.producer()
    await foreigner.send([{ topic: CONFIG, partition: 0, records: garbage }])
    await foreigner.send([configBatch(tooMuch, schemaId)])
    await foreigner.close()
    const said = await until('all have refused', ({ body }) =>
      body.applied.length === 3 && body.applied.every(({ refused }) => refused?.includes('detector.z'))) // prettier-ignore
    expect(said.body.applied.map(({ version }) => version)).toEqual([1, 1, 1])
    expect(said.body).toMatchObject({ version: 1, scopes: { fleet: { 'detector.z': 4 } } })
    const { body } = await put({ fleet: { 'detector.z': 5 } }, '"1"', '?wait=30s')
    expect([body.version, body.pending, body.applied.map(({ refused }) => refused)]).toEqual([
      2,
      [],
      [null, null, null],
    ])
  })

  test('MI-5, MI-7: a node that comes later begins with the current version', async () => {
    const added = await fetch(`${producersUrl}/nodes`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ id: 'late' }),
    })
    expect(added.status).toBe(201)
    const { body } = await until('the late node is there', (answer) => idsOf(answer.body.applied).includes('late'))
    expect(body.applied.find(({ node_id }) => node_id === 'late')!.version).toBe(2)
  })

  test('MI-5: by the command line: a scope is set and all have applied it; a wrong value is one line naming the limit', async () => {
    const { version } = (await get()).body
    const [set, wrong] = await Promise.all([
      plumbline('set', 'detector.z=2.5', 'producer.rate_hz=3', '--scope', 'site:site-01', '--wait', '30s'),
      plumbline('set', 'detector.z=0'),
    ])
    expect([set.code, set.stderr]).toEqual([0, ''])
    expect(set.stdout).toContain(`version ${version + 1}`)
    expect(set.stdout).toContain('applied by jobs-1, late, node-0001, node-0002\n')
    expect([wrong.code, wrong.stderr]).toEqual([1, expect.stringMatching(/^plumbline: .*from 0\.1 to 1000\n$/)])
    expect((await get()).body).toMatchObject({
      version: version + 1,
      scopes: { fleet: { 'detector.z': 5 }, 'site:site-01': { 'detector.z': 2.5, 'producer.rate_hz': 3 } },
    })
  })

  test('MI-5: a wait that ends before all have applied it names who is pending', async () => {
    refine.freeze()
    const { status, body } = await put({ fleet: { 'detector.z': 6 } }, '*', '?wait=300ms')
    refine.thaw()
    expect([status, idsOf(body.pending), idsOf(body.applied)]).toEqual([
      200,
      ['jobs-1'],
      ['late', 'node-0001', 'node-0002'],
    ])
    await until('it has caught up', ({ body: { applied } }) => applied.length === 4)
  })

  test('MI-5, EM-3: stream jobs that take over keep the version, without being told again', async () => {
    const told = await settingsControls()
    const { version } = (await get()).body
    await refine.kill()
    refine = await startRefine('jobs-2')
    const { body } = await until('the new process has applied it', (answer) => idsOf(answer.body.applied).includes('jobs-2')) // prettier-ignore
    expect(body.applied.find(({ node_id }) => node_id === 'jobs-2')!.version).toBe(version)
    expect(await settingsControls()).toBe(told)
  })

  test('MI-5: of writers at the same time exactly one wins each version, and versions have no gap', async () => {
    const config = loadConfig({ KAFKA_BROKERS: stack.broker.brokers })
    const writers = Array.from({ length: 3 }, () =>
      new ConfigWriter({
        kafka: connectKafka(config, pino({ level: 'silent' })),
        now: Date.now,
        fetchSchema: schemasOf(stack),
        schemaId: () => Promise.resolve(stack.schemaIds.get(CONFIG)!),
        base: baseValues(config),
        seen: () => NOTHING_SET,
      })) // prettier-ignore
    let won = 0
    let version = (await get()).body.version
    const first = version
    for (let round = 0; round < 6; round += 1) {
      const outcomes = await Promise.allSettled(
        writers.map((writer, i) => writer.write({ fleet: { 'detector.z': 10 + round }, [`node:${i}`]: { 'detector.z': 3 } }, version)),
      ) // prettier-ignore
      const winners = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []))
      for (const outcome of outcomes)
        if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(LostUpdate)
      expect(winners.length).toBeLessThanOrEqual(1)
      for (const winner of winners) expect(winner.version).toBe(version + 1)
      won += winners.length
      version += winners.length
    }
    const written = (await versionsInLog()).map((entry) => entry.version)
    expect(written).toEqual(Array.from({ length: first + won }, (_, i) => i + 1))
    expect(won).toBeGreaterThan(0)
    await until('everybody has the last one', ({ body }) => body.version === version && body.pending.length === 0)
  })

  test('MI-5: the command line ends with 1 where somebody has not applied it in time; a wait is answered by a process that stops', async () => {
    const producer = await stack.kafka.producer()
    const ended = new AbortController()
    // A node that is there, but applies nothing.
    const haunting = (async () => {
      for (; !ended.signal.aborted; await delay(200)) {
        const said = plainHeartbeat({ node_id: 'ghost', kind: 'producer', at: Date.now(), mono_ms: 0, final: false })
        await producer.send(heartbeatBatches([said], stack.schemaIds.get(NODES)!))
      }
    })()
    await until('the ghost is there', ({ body }) => idsOf(body.pending).includes('ghost'))
    const { code, stdout, stderr } = await plumbline('set', 'detector.z=7', '--wait', '2s')
    expect([code, stderr]).toEqual([1, ''])
    expect(stdout).toMatch(/^pending: ghost at 0$/m)
    const { version } = (await get()).body
    const answer = put({ fleet: { 'detector.z': 8 } }, '*', '?wait=60s')
    for (let reached = version; reached === version; reached = (await get()).body.version) await delay(20)
    expect(await query.stop()).toBe(0)
    expect(await answer).toMatchObject({ status: 200, body: { version: version + 1 } })
    expect(idsOf((await answer).body.pending)).toContain('ghost')
    ended.abort()
    await haunting
    await producer.close()
    query = await startQuery()
    await until('the ghost is gone', ({ status, body }) => status === 200 && !idsOf(body.pending).includes('ghost'))
  })

  test('MI-2, MI-5: without the broker nodes begin with the version that they last applied, and get the newest when it is back', async () => {
    const applied = (): Promise<number> => readMetric(producersUrl, 'plumbline_config_version')
    const known = await applied()
    expect(JSON.parse(readFileSync(join(folder, 'runtime-config.json'), 'utf8'))).toMatchObject({ version: known })
    await producers.kill()
    expect((await put({ fleet: { 'detector.z': 9 } }, '*')).body.version).toBe(known + 1)
    await stack.broker.kill()
    producers = await startProducers()
    expect(producers.output()).toContain('sampling begins with the last known configuration')
    expect(await applied()).toBe(known)
    const accepted = (): Promise<number> => readMetric(producersUrl, 'plumbline_producer_accepted_total')
    for (const before = await accepted(); (await accepted()) === before;) await delay(50)
    await stack.broker.restart()
    const holds = ({ body }: Answer): boolean => body.applied.some(({ node_id, version }) => node_id === 'node-0001' && version > known) // prettier-ignore
    await until('the nodes have the newest version', holds)
    expect(await applied()).toBe(known + 1)
  })
})
