// The producers' process against a real broker and registry: killed, cut off from the broker, stopped, and given
// files. What its logs accepted must all be in telemetry.raw, whatever happened.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FRAME_BYTES, type Reading, readingType } from '../platform/codec/reading.ts'
import { loadConfig } from '../platform/config.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { partitionOf } from '../platform/kafka/partitioner.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { type Heartbeat, heartbeatType } from '../platform/membership/heartbeat.ts'
import { listWals } from '../platform/wal/directory.ts'
import { readWalSummary } from '../platform/wal/reader.ts'
import { NODES, RAW, TOPICS } from '../schemas/topics.ts'
import { startTestKafka, type TestKafka } from '../test/fixtures/kafka.ts'
import { readMetric, until } from '../test/fixtures/metric.ts'
import { Processes, type ServiceProcess } from '../test/fixtures/processes.ts'
import { fleetArguments, type FleetSettings, fleetWith } from './nodes/options.ts'

const PARTITIONS = 3
const processes = new Processes()
const dirs: string[] = []
let broker: TestKafka
let kafka: Kafka
let registryUrl: string

beforeAll(async () => {
  broker = await startTestKafka()
  kafka = connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' }))
  const admin = await kafka.admin()
  const partitionsOf = (partitioning: string): number => (partitioning === 'data' ? PARTITIONS : 1)
  await admin.ensureTopics(
    TOPICS.map(({ name, partitioning, configs }) => ({ name, configs, partitions: partitionsOf(partitioning) })),
  )
  await admin.close()
  const registry = await processes.start({
    main: 'registry/main.ts',
    env: { KAFKA_BROKERS: broker.brokers, REGISTRY_PORT: '0' },
    ready: { output: '"listening"' },
  })
  registryUrl = `http://127.0.0.1:${portOf(registry)}`
})
afterAll(async () => {
  await processes.stopAll()
  await broker?.stop()
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true })
})

/** The port that the service says it listens on; the last one, should it have said several. */
const portOf = (service: ServiceProcess): number => Number(/"port":(\d+)(?!.*"port":)/s.exec(service.output())?.[1])

function newDataDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'plumbline-producers-'))
  dirs.push(dir)
  return dir
}

const envOf = (dataDir: string, env: Record<string, string>): Record<string, string> => ({
  KAFKA_BROKERS: broker.brokers,
  REGISTRY_URL: registryUrl,
  DATA_DIR: dataDir,
  PRODUCERS_PORT: '0',
  WAL_SEGMENT_BYTES: '65536',
  ...env,
})

const start = (
  dataDir: string,
  env: Record<string, string> = {},
  fleet: Partial<FleetSettings> = {},
): Promise<ServiceProcess> =>
  processes.start({
    main: 'producers/main.ts',
    args: fleetArguments(fleetWith({ nodes: 4, sensors: 40, rateHz: 20, ...fleet })),
    env: envOf(dataDir, env),
    ready: { output: 'producers run' },
  })

const call = (service: ServiceProcess, path: string, init?: RequestInit): Promise<Response> =>
  fetch(`http://127.0.0.1:${portOf(service)}${path}`, init)

const metric = (service: ServiceProcess, name: string): Promise<number> =>
  readMetric(`http://127.0.0.1:${portOf(service)}`, `plumbline_producer_${name}`)

async function readValues(topic: string): Promise<{ key: string; partition: number; value: Buffer }[]> {
  const admin = await kafka.admin()
  const ranges = await admin.offsetRanges(topic)
  await admin.close()
  const reader = await kafka.rangeReader()
  const found: { key: string; partition: number; value: Buffer }[] = []
  for (const [partition, { start: from, end }] of ranges.entries()) {
    if (end === from) continue
    await reader.read({ topic, partition }, from, end, ({ batches }) => {
      for (const batch of batches)
        for (let i = 0; i < batch.count; i += 1)
          found.push({ key: String(batch.key(i)), partition, value: Buffer.from(batch.value(i) ?? []) })
    })
  }
  await reader.close()
  return found
}

interface Raw {
  readonly reading: Reading
  readonly key: string
  readonly partition: number
}

async function readRaw(): Promise<Raw[]> {
  return (await readValues(RAW)).map(({ key, partition, value }) => ({
    key,
    partition,
    reading: readingType.fromBuffer(value.subarray(FRAME_BYTES)) as Reading,
  }))
}

async function heartbeatsOf(nodeId: string): Promise<Heartbeat[]> {
  const found = await readValues(NODES)
  return found
    .filter(({ key }) => key === nodeId)
    .map(({ value }) => heartbeatType.fromBuffer(value.subarray(FRAME_BYTES)) as Heartbeat)
}

/** Compares what the logs of a data folder accepted with what is in raw. Returns how many readings there are. */
async function expectAllInRaw(dataDir: string): Promise<{ accepted: number; raw: Raw[] }> {
  const raw = await readRaw()
  const present = new Set(raw.map(({ key, reading }) => `${key} ${reading.epoch} ${reading.seq}`))
  let accepted = 0
  const missing: string[] = []
  for (const { dir } of listWals(dataDir)) {
    const summary = readWalSummary(dir)
    if (summary === null) continue
    expect(summary.acknowledgedIndex, dir).toBe(summary.appendedIndex)
    for (const [key, lastSeq] of summary.accepted) {
      accepted += lastSeq + 1
      for (let seq = 0; seq <= lastSeq; seq += 1)
        if (!present.has(`${key} ${summary.epoch} ${seq}`)) missing.push(`${key} ${seq}`)
    }
  }
  expect(missing).toEqual([])
  return { accepted, raw }
}

describe('the producers on a real broker', () => {
  test('kill -9 under load, several times: nothing accepted is lost, numbers continue, the stop is clean (MI-2, MI-8, EM-1)', async () => {
    const dataDir = newDataDir()
    let posted = 0
    for (let round = 0; round < 3; round += 1) {
      const service = await start(dataDir, {}, { outOfOrder: 0.05, duplicates: 0.02 })
      for (let i = 0; i < 10; i += 1) {
        const body = JSON.stringify(
          Array.from({ length: 20 }, (_, n) => ({ sensor_id: `http-${n % 3}`, ts: Date.now(), power_w: n })),
        )
        const answer = await call(service, '/readings', {
          method: 'POST',
          body,
          headers: { 'content-type': 'application/json' },
        })
        expect(answer.status).toBe(202)
        posted += 20
        await delay(100)
      }
      await service.kill()
    }
    const last = await start(dataDir)
    await until(async () => (await metric(last, 'acknowledged_total')) > 1_000, 'the broker acknowledges')
    expect(await last.stop()).toBe(0)
    const { accepted, raw } = await expectAllInRaw(dataDir)
    expect(accepted).toBeGreaterThan(3_000)
    expect(raw.filter(({ reading }) => reading.sensor_id.startsWith('http-')).length).toBeGreaterThanOrEqual(posted)
    for (const { key, partition } of raw)
      expect(partitionOf(Buffer.from(key), 0, key.length, PARTITIONS)).toBe(partition)
    const final = (await heartbeatsOf('node-0001')).at(-1)
    expect(final).toMatchObject({ final: true, kind: 'producer', sensors: 10, diagnostics: { wal_depth: 0 } })
    expect(final?.accepted).toBe(final?.acknowledged)
    const disordered = outOfOrder(raw)
    expect(disordered).toBeGreaterThan(0)
  })

  test('the broker is killed and comes back: sampling continues within the ring’s bound, degraded goes true and back, nothing is missing (MI-2, MI-3, MI-8)', async () => {
    const dataDir = newDataDir()
    const service = await start(dataDir, { RING_CAPACITY: '500' })
    await until(async () => (await metric(service, 'acknowledged_total')) > 500, 'the broker acknowledges')
    expect(await metric(service, 'degraded_nodes')).toBe(0)
    await broker.kill()
    const before = await metric(service, 'accepted_total')
    await until(async () => (await metric(service, 'degraded_nodes')) === 4, 'all nodes are degraded')
    await until(async () => (await metric(service, 'accepted_total')) > before + 5_000, 'sampling continues')
    expect(await metric(service, 'ring_fill_ratio')).toBeLessThanOrEqual(1)
    expect(await metric(service, 'unacknowledged_readings')).toBeGreaterThan(4 * 500)
    expect((await call(service, '/readyz')).status).toBe(200)
    await broker.restart()
    await until(async () => (await metric(service, 'degraded_nodes')) === 0, 'no node is degraded any more')
    expect(await service.stop()).toBe(0)
    const { accepted } = await expectAllInRaw(dataDir)
    expect(accepted).toBeGreaterThan(before + 5_000)
  })

  test('drops, late acknowledgements, an outage and a clock that steps back: nothing is missing, time still increases per sensor (MI-1, MI-4, MI-6)', async () => {
    const dataDir = newDataDir()
    const service = await start(
      dataDir,
      {},
      {
        outOfOrder: 0,
        dropProbability: 0.3,
        ackDelayMs: 20,
        outageAtMs: 2_000,
        outageMs: 2_000,
        clockStepMs: -60_000,
      },
    )
    await until(async () => (await metric(service, 'send_failures_total')) > 0, 'the outage is felt')
    await delay(11_000)
    expect(await service.stop()).toBe(0)
    const { raw } = await expectAllInRaw(dataDir)
    const final = (await heartbeatsOf('node-0001')).at(-1)
    expect(final?.diagnostics.dropped_faults).toBeGreaterThan(0)
    expect(final?.diagnostics.clock_step_ms).toBeCloseTo(-60_000, -2)
    expectTimeIncreases(raw.filter(({ reading }) => reading.node_id.startsWith('node-')))
  })

  test('nodes come and go while it runs, and what one left behind is sent after a crash (MI-7)', async () => {
    const dataDir = newDataDir()
    const service = await start(dataDir, {}, { nodes: 1, sensors: 5 })
    const post = (body: object): Promise<Response> =>
      call(service, '/nodes', {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      })
    expect(await (await post({ count: 2 })).json()).toEqual({ nodes: ['node-0002', 'node-0003'] })
    expect((await post({ id: 'annex' })).status).toBe(201)
    expect((await post({ id: 'annex' })).status).toBe(400)
    expect((await post({ id: '../../etc' })).status).toBe(400)
    await delay(500)
    const gone = await call(service, '/nodes/node-0002', { method: 'DELETE' })
    const { accepted, acknowledged } = (await gone.json()) as { accepted: number; acknowledged: number }
    expect(accepted).toBeGreaterThan(0)
    expect(acknowledged).toBe(accepted)
    expect((await heartbeatsOf('node-0002')).at(-1)?.final).toBe(true)
    expect((await call(service, '/nodes/node-0002', { method: 'DELETE' })).status).toBe(404)
    await service.kill()
    const restarted = await start(dataDir, {}, { nodes: 1, sensors: 5 })
    await until(
      async () =>
        (readWalSummary(join(dataDir, 'wal/node/annex'))?.acknowledgedIndex ?? -1) ===
        readWalSummary(join(dataDir, 'wal/node/annex'))?.appendedIndex,
      'the log of the lost node is sent',
    )
    expect(await restarted.stop()).toBe(0)
    await expectAllInRaw(dataDir)
  })

  test('a full log pauses sampling and turns POST /readings away; both continue when the broker is back (MI-2)', async () => {
    const dataDir = newDataDir()
    const service = await start(dataDir, { WAL_MAX_BYTES: '262144' }, { nodes: 1, sensors: 40, rateHz: 50 })
    await until(async () => (await metric(service, 'acknowledged_total')) > 100, 'the broker acknowledges')
    await broker.kill()
    await until(async () => (await metric(service, 'paused_nodes')) === 1, 'sampling pauses')
    expect(service.output()).toContain('sampling pauses')
    expect(await metric(service, 'wal_bytes')).toBeLessThan(2 * 262_144)
    expect((await call(service, '/readyz')).status).toBe(503)
    await broker.restart()
    await until(async () => (await metric(service, 'paused_nodes')) === 0, 'sampling continues')
    expect(await service.stop()).toBe(0)
    await expectAllInRaw(dataDir)
  })

  test('an import that is killed and run again brings every row in once, by epoch and seq (X-1)', async () => {
    const dataDir = newDataDir()
    const args = [
      'import',
      'producers/doors/import/sample/household_power.txt',
      '--preset',
      'household-power',
      '--start',
      'now',
    ]
    const env = envOf(dataDir, {})
    const slow = await processes.start({
      main: 'producers/main.ts',
      args: [...args, '--rate', '50'],
      env,
      ready: { output: 'readings delivered' },
    })
    await slow.kill()
    const again = await processes.start({ main: 'producers/main.ts', args, env, ready: { output: '0 rows rejected' } })
    expect(await again.exited).toBe(0)
    const { accepted, raw } = await expectAllInRaw(dataDir)
    expect(accepted).toBe(300)
    const rows = raw.filter(({ reading }) => reading.sensor_id === 'household-1')
    expect(new Set(rows.map(({ reading }) => `${reading.epoch} ${reading.seq}`)).size).toBe(300)
    expect(new Set(rows.map(({ reading }) => reading.ts)).size).toBe(300)
    expect(Math.max(...rows.map(({ reading }) => reading.ts))).toBeLessThanOrEqual(Date.now())
  })

  test('an import says by line what it rejects and ends with an error when it is too much', async () => {
    const dataDir = newDataDir()
    const file = join(dataDir, 'bad.csv')
    writeFileSync(file, 'sensor_id,ts,power_w\ns,1,1\ns,2,oops\n')
    const service = await processes.start({
      main: 'producers/main.ts',
      args: ['import', file, '--max-errors', '0'],
      env: envOf(dataDir, {}),
      ready: { output: 'Nothing was imported' },
    })
    expect(await service.exited).toBe(1)
    expect(service.output()).toContain('line 3, power_w')
  })
})

/** Readings that came after a later one of their sensor and epoch. */
function outOfOrder(raw: readonly Raw[]): number {
  const greatest = new Map<string, number>()
  let count = 0
  for (const { key, reading } of raw) {
    const lane = `${key} ${reading.epoch}`
    const last = greatest.get(lane) ?? -1
    if (reading.seq < last) count += 1
    greatest.set(lane, Math.max(last, reading.seq))
  }
  return count
}

function expectTimeIncreases(raw: readonly Raw[]): void {
  const lanes = new Map<string, Map<number, number>>()
  for (const { key, reading } of raw) {
    const lane = `${key} ${reading.epoch}`
    const times = lanes.get(lane) ?? new Map<number, number>()
    lanes.set(lane, times.set(reading.seq, reading.ts))
  }
  for (const [lane, times] of lanes) {
    const inOrder = [...times].sort(([a], [b]) => a - b)
    const wrong = inOrder.slice(1).filter(([, ts], i) => ts <= inOrder[i][1])
    expect(wrong, lane).toEqual([])
  }
}
