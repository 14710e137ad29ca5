// The sink as a process, on a real broker and registry, killed and fed with what it cannot read. What must be in the
// store is worked out independently from what was sent.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { sensorKey } from '../platform/codec/identity.ts'
import { encodeFramed, readingType } from '../platform/codec/reading.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import type { Progress, StoreView } from '../platform/store/port.ts'
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { METRICS } from '../schemas/metrics.ts'
import { ANOMALIES, CLEAN, DLQ, LATE, RAW } from '../schemas/topics.ts'
import type { ServiceProcess } from '../test/fixtures/processes.ts'
import { startStack, type Stack } from '../test/fixtures/refine.ts'
import { anomalyType } from './core/decode.ts'

const NULLS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))
const PARTITIONS = 3
const WAIT_MS = 60_000
let stack: Stack
let folder: string

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
  folder = mkdtempSync(join(tmpdir(), 'plumbline-sink-'))
})
afterAll(async () => {
  await stack.stop()
  rmSync(folder, { recursive: true })
})

interface Sent {
  readonly sensor: string
  readonly ts: number
  readonly power: number
}

const reading = ({ sensor, ts, power }: Sent) => ({
  tenant_id: 't',
  site_id: 'site',
  node_id: 'node',
  sensor_id: sensor,
  epoch: 1,
  seq: ts,
  ts,
  mono_ms: ts,
  ...NULLS,
  power_w: power,
  tags: {},
})

const record = (sent: Sent): { key: Buffer; value: Buffer } => ({
  key: Buffer.from(sensorKey('t', sent.sensor)),
  value: encodeFramed(readingType, stack.readingId, reading(sent)),
})

/** Ready when it says so: on a free port, which nobody has to know. */
function startSink(file: string, more: Readonly<Record<string, string>> = {}): Promise<ServiceProcess> {
  const quick = { SINKS_PORT: '0', SINK_LINGER_MS: '20', SINK_SESSION_MS: '3000', LOG_LEVEL: 'info' }
  const env = stack.env({ SQLITE_FILE: file, ...quick, ...more })
  return stack.processes.start({ main: 'sinks/main.ts', env, ready: { output: '"listening"' } })
}

/** Reads the store until the condition holds. */
async function until<T>(file: string, work: (view: StoreView) => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const store = new SqliteStore({ file, access: 'read' })
  try {
    let value: T | undefined
    for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(100)) {
      value = await store.read(work)
      if (holds(value)) return value
    }
    throw new Error(`still ${JSON.stringify(value)} after ${WAIT_MS / 1000} s`)
  } finally {
    await store.close()
  }
}

/** True once the store is at the end of every partition of the topics. */
async function untilStored(file: string, topics: readonly string[]): Promise<Progress[]> {
  const ends = new Map<string, number>()
  for (const topic of topics)
    (await stack.admin.offsetRanges(topic)).forEach(({ end }, partition) => ends.set(`${topic}/${partition}`, end))
  const caughtUp = (rows: Progress[]): boolean =>
    [...ends].every(([at, end]) => (rows.find((row) => `${row.topic}/${row.partition}` === at)?.offset ?? -1) >= end)
  return until(file, (view) => view.progress(), caughtUp)
}

/** The least of all partitions; 0 while one is missing. */
const throughOf = (rows: Progress[]): number =>
  rows.length < 3 * PARTITIONS ? 0 : Math.min(...rows.map((row) => row.throughMs ?? 0))

describe('sink', () => {
  it('EM-3: killed again and again under load, it stores each (sensor, ts) of clean and late once, with the latest write', async () => {
    const file = join(folder, 'killed.sqlite')
    const expected = new Map<string, { power: number; late: boolean }>()
    const send = async (topic: string, batch: readonly Sent[]): Promise<void> => {
      for (const { sensor, ts, power } of batch) {
        const key = `${sensor} ${ts}`
        if (topic === LATE || !(expected.get(key)?.late ?? false)) expected.set(key, { power, late: topic === LATE })
      }
      await stack.send(batch.map(record), topic)
    }
    const sensors = Array.from({ length: 40 }, (_, i) => `kill-${i}`)
    const steps = [0, 1, 2, 3, 4]
    let ts = 0
    let sending = true
    const load = (async () => {
      for (; sending; ts += steps.length) {
        await send(
          CLEAN,
          steps.flatMap((step) => sensors.map((sensor) => ({ sensor, ts: ts + step, power: ts }))),
        )
        await send(
          LATE,
          sensors.map((sensor, i) => ({ sensor, ts: Math.max(0, ts - i), power: -ts })),
        )
        await delay(10)
      }
    })()
    for (let kill = 0; kill < 5; kill += 1) {
      const sink = await startSink(file)
      const before = (
        await until(
          file,
          (view) => view.totals(),
          ({ readings }) => readings > 0,
        )
      ).readings
      await until(
        file,
        (view) => view.totals(),
        ({ readings }) => readings > before + 2_000,
      )
      await sink.kill()
    }
    sending = false
    await load
    const sink = await startSink(file)
    await untilStored(file, [CLEAN, LATE])
    const store = new SqliteStore({ file, access: 'read' })
    await store.read(async (view) => {
      const counts = await view.countsPerSensor()
      expect(counts.reduce((sum, { count }) => sum + count, 0)).toBe(expected.size)
      for (const { tenant, sensor } of counts) {
        const rows = (await view.recent({ tenant, sensor }, 1e6))!
        const wrong = rows.filter((row) => expected.get(`${sensor} ${row.ts}`)?.power !== row.metrics.power_w)
        expect(wrong).toEqual([])
      }
      const sent = (await stack.admin.offsetRanges(CLEAN))
        .concat(await stack.admin.offsetRanges(LATE))
        .reduce((sum, { end }) => sum + end, 0)
      const { readings, superseded } = await view.totals()
      expect(readings + superseded).toBe(sent)
    })
    await store.close()
    expect(await sink.stop()).toBe(0)
  })

  it('EM-3: frozen past its session and woken up, it does not wind back what another sink has stored meanwhile', async () => {
    const file = join(folder, 'frozen.sqlite')
    const group = { SINK_GROUP: 'frozen' }
    const frozen = await startSink(file, group)
    await untilStored(file, [CLEAN, LATE])
    frozen.freeze()
    const other = await startSink(file, group)
    await stack.send(
      Array.from({ length: 500 }, (_, ts) => record({ sensor: `frozen-${ts % 9}`, ts, power: ts })),
      CLEAN,
    )
    const before = await untilStored(file, [CLEAN, LATE])
    frozen.thaw()
    await stack.send(
      Array.from({ length: 500 }, (_, i) => record({ sensor: `frozen-${i % 9}`, ts: 500 + i, power: i })),
      CLEAN,
    )
    const after = await untilStored(file, [CLEAN, LATE])
    for (const row of before)
      expect(
        after.find(({ topic, partition }) => topic === row.topic && partition === row.partition)!.offset,
      ).toBeGreaterThanOrEqual(row.offset)
    const store = new SqliteStore({ file, access: 'read' })
    const counts = await store.read((view) => view.countsPerSensor())
    await store.close()
    const mine = counts.filter(({ sensor }) => sensor.startsWith('frozen-'))
    expect(mine.reduce((sum, { count }) => sum + count, 0)).toBe(1_000)
    expect(await Promise.all([frozen.stop(), other.stop()])).toEqual([0, 0])
  })

  it('EM-3: continues after a broker that was killed and came back', async () => {
    const file = join(folder, 'broker.sqlite')
    const sink = await startSink(file, { SINK_GROUP: 'broker' })
    await untilStored(file, [CLEAN, LATE])
    await stack.broker.kill()
    await stack.broker.restart()
    await stack.send(
      Array.from({ length: 300 }, (_, ts) => record({ sensor: 'broker', ts, power: ts })),
      CLEAN,
    )
    await until(
      file,
      (view) => view.recent({ tenant: 't', sensor: 'broker' }, 1_000),
      (rows) => rows?.length === 300,
    )
    const back = Date.now()
    await until(
      file,
      (view) => view.progress(),
      (rows) => throughOf(rows) > back,
    )
    expect(sink.isRunning()).toBe(true)
    expect(await sink.stop()).toBe(0)
  })

  it('X-3: bytes that it cannot read go to the dead-letter topic as they are, with the reason, and it continues', async () => {
    const file = join(folder, 'garbage.sqlite')
    const dlqBefore = await stack.admin.offsetRanges(DLQ)
    const good = record({ sensor: 'good', ts: 1, power: 1 })
    const bomb = Buffer.concat([
      good.value.subarray(0, -1),
      Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]),
    ])
    const unknownId = Buffer.concat([Buffer.from([0, 0x7f, 0xff, 0xff, 0xff]), good.value.subarray(5)])
    const garbage = [
      Buffer.from('garbage'),
      Buffer.alloc(0),
      Buffer.from([0, 0]),
      good.value.subarray(0, -3),
      Buffer.concat([good.value, good.value]),
      bomb,
      unknownId,
    ]
    await stack.send(
      garbage.map((value) => ({ key: good.key, value })),
      CLEAN,
    )
    await stack.send([{ key: good.key, value: Buffer.from('late garbage') }], LATE)
    await stack.send([{ key: good.key, value: Buffer.from('no anomaly') }], ANOMALIES)
    await stack.send([good], CLEAN)
    const sink = await startSink(file, { SINK_GROUP: 'garbage' })
    await untilStored(file, [CLEAN, LATE, ANOMALIES])
    const dead: { value: Buffer; headers: Record<string, string> }[] = []
    const reader = await stack.kafka.rangeReader()
    for (const [partition, { end }] of (await stack.admin.offsetRanges(DLQ)).entries()) {
      await reader.read({ topic: DLQ, partition }, dlqBefore[partition].end, end, ({ batches }) => {
        for (const batch of batches) {
          for (let i = 0; i < batch.count; i += 1) {
            const headers = Object.fromEntries(batch.headers(i).map(({ key, value }) => [key, String(value)]))
            dead.push({ value: Buffer.from(batch.value(i)!), headers })
          }
        }
      })
    }
    await reader.close()
    const fromClean = dead.filter(({ headers }) => headers['__connect.errors.topic'] === CLEAN)
    expect(fromClean.map(({ value }) => value.toString('hex'))).toEqual(garbage.map((value) => value.toString('hex')))
    expect(dead.length).toBe(garbage.length + 2)
    for (const { headers } of dead) {
      expect(Object.keys(headers).sort()).toEqual(
        ['exception.class.name', 'exception.message', 'offset', 'partition', 'stage', 'topic'].map(
          (name) => `__connect.errors.${name}`,
        ),
      )
    }
    expect(fromClean.at(-1)!.headers['__connect.errors.exception.message']).toBe(
      'schema id 2147483647: the schema registry does not know it',
    )
    expect(
      await until(
        file,
        (view) => view.recent({ tenant: 't', sensor: 'good' }, 5),
        (rows) => rows?.length === 1,
      ),
    ).toBeTruthy()
    expect(await sink.stop()).toBe(0)
  })

  it('stores anomalies, each once', async () => {
    const file = join(folder, 'anomalies.sqlite')
    const anomaly = {
      tenant_id: 't',
      site_id: 'site',
      node_id: 'n',
      sensor_id: 'a',
      epoch: 1,
      seq: 7,
      ts: 70,
      metric: 'power_w',
      value: 9,
      detector: 'zscore',
      score: 5,
      threshold: 3,
      mean: 1,
      stddev: 1,
      window_count: 30,
    }
    await stack.send(
      [{ key: Buffer.from('t/a'), value: encodeFramed(anomalyType, stack.schemaIds.get(ANOMALIES)!, anomaly) }],
      ANOMALIES,
    )
    const sink = await startSink(file, { SINK_GROUP: 'anomalies' })
    await untilStored(file, [ANOMALIES])
    expect(
      await until(
        file,
        (view) => view.anomalies({ sensor: 'a' }, 10),
        (rows) => rows.length > 0,
      ),
    ).toEqual([anomaly])
    await sink.stop()
  })

  it('EM-7: a partition that ends in aborted records, which no consumer is ever handed, does not hold `through` back', async () => {
    const file = join(folder, 'aborted.sqlite')
    const sink = await startSink(file, { SINK_GROUP: 'aborted' })
    await untilStored(file, [CLEAN])
    const producer = await stack.kafka.transactionalProducer({
      transactionalId: 'aborted',
      transactionTimeoutMs: 10_000,
    })
    await producer.fence()
    const transaction = await producer.begin()
    const records = new RecordBatchBuilder()
    for (let ts = 0; ts < 10; ts += 1) {
      const { key, value } = record({ sensor: 'aborted', ts, power: 1 })
      records.add(key, value)
    }
    await transaction.send([{ topic: CLEAN, partition: 0, records }])
    await transaction.abort()
    await producer.close()
    const aborted = Date.now()
    await until(
      file,
      (view) => view.progress(),
      (rows) => throughOf(rows) > aborted,
    )
    const store = new SqliteStore({ file, access: 'read' })
    expect(await store.read((view) => view.recent({ tenant: 't', sensor: 'aborted' }, 9))).toBeNull()
    await store.close()
    // What comes after it is read as before.
    await stack.send([record({ sensor: 'after', ts: 1, power: 1 })], CLEAN)
    await until(
      file,
      (view) => view.recent({ tenant: 't', sensor: 'after' }, 9),
      (rows) => rows?.length === 1,
    )
    expect(await sink.stop()).toBe(0)
  })

  it('EM-7: while all is quiet `through` follows the clock; while raw is not refined it stands still', async () => {
    const file = join(folder, 'through.sqlite')
    const sink = await startSink(file, { SINK_GROUP: 'through' })
    const started = Date.now()
    await until(
      file,
      (view) => view.progress(),
      (rows) => throughOf(rows) >= started + 2_000,
    )
    // Nobody refines: whatever arrives in raw is not in the store.
    const sent = Date.now()
    await stack.send([record({ sensor: 'unrefined', ts: 1, power: 1 })], RAW)
    const arrived = Date.now()
    const others = (rows: Progress[]): number => Math.max(...rows.map((row) => row.throughMs ?? 0))
    const later = await until(
      file,
      (view) => view.progress(),
      (rows) => others(rows) >= arrived + 3_000,
    )
    expect(throughOf(later)).toBeLessThan(arrived)
    expect(throughOf(later)).toBeGreaterThan(sent - 10_000)
    await sink.stop()
  })

  it('ends with an error that names topic and offsets when the log does not have what the store needs next', async () => {
    const file = join(folder, 'gone.sqlite')
    const store = new SqliteStore({ file, access: 'write' })
    await store.migrate()
    const rows = { readings: [], versions: new Float64Array(0), arrivals: new Float64Array(0) }
    const ahead = { topic: CLEAN, partition: 1, after: null, offset: 1_000_000_000, throughMs: null, eventMs: null }
    await store.write({ rows, anomalies: [], progress: [ahead] })
    await store.close()
    await expect(
      startSink(file, { SINK_GROUP: 'gone' }).then(
        async (sink) => `exit ${await sink.exited}: ${sink.output()}`,
        (error: Error) => error.message,
      ),
    ).resolves.toMatch(/telemetry\.clean\/1: the store is at offset 1000000000 and the log ends at \d+/)
  })
})
