// The writer over a real store that is made to fail on purpose.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { StoreError } from '../platform/errors.ts'
import { createMetrics } from '../platform/metrics.ts'
import { reading } from '../platform/store/contract-rows.ts'
import type { Store, WriteBatch } from '../platform/store/port.ts'
import { SqliteStore } from '../platform/store/sqlite.ts'
import type { Lane, Unit } from './core/batch.ts'
import { SinkMetrics } from './sink-metrics.ts'
import { StoreWriter } from './writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-writer-'))
let files = 0
let store: SqliteStore
let batches: WriteBatch[]
let failures: StoreError[]
let failed: number
let moved: Lane[]
let writer: StoreWriter

beforeEach(async () => {
  store = new SqliteStore({ file: join(folder, `${(files += 1)}.sqlite`), access: 'write' })
  await store.migrate()
  batches = []
  failures = []
  moved = []
  failed = 0
  const faulty: Store = {
    migrate: () => store.migrate(),
    read: (work) => store.read(work),
    close: () => store.close(),
    write: async (batch) => {
      const failure = failures.shift()
      if (failure !== undefined) {
        failed += 1
        throw failure
      }
      await store.write(batch)
      batches.push(batch)
    },
  }
  const metrics = new SinkMetrics(createMetrics('sinks'))
  writer = new StoreWriter({
    store: faulty,
    lingerMs: 5,
    log: pino({ level: 'silent' }),
    metrics,
    onMoved: (lane) => moved.push(lane),
  })
})
afterEach(async () => {
  await writer.stop()
  await store.close()
})
afterAll(() => rmSync(folder, { recursive: true }))

const lane = (partition: number, fields: Partial<Lane> = {}): Lane => ({
  topic: 'telemetry.clean',
  partition,
  stored: null,
  position: 0,
  throughMs: null,
  marks: [],
  active: true,
  started: true,
  busy: false,
  savedMs: -Infinity,
  ...fields, // prettier-ignore
})
const unit = (of: Lane, ts: number): Unit => {
  const readings = [reading({ sensor_id: `s${of.partition}`, ts })]
  return {
    lane: of,
    readings,
    anomalies: [],
    versions: new Float64Array(1),
    arrivals: new Float64Array(1),
    nextOffset: of.position + 1,
  }
}
const totals = () => store.read((view) => view.totals())

describe('writer', () => {
  it('puts what waits into one transaction and moves the lanes', async () => {
    const lanes = [lane(0), lane(1)]
    expect(await Promise.all(lanes.map((of) => writer.submit(unit(of, 1))))).toEqual(['written', 'written'])
    expect(batches.length).toBe(1)
    expect(lanes.map(({ stored, position, busy }) => [stored, position, busy])).toEqual([[1, 1, false], [1, 1, false]]) // prettier-ignore
    expect((await store.read((view) => view.progress())).map(({ offset }) => offset)).toEqual([1, 1])
  })

  it('EM-5: a store that fails gets the same rows again, each once, and is not ready meanwhile', async () => {
    failures = [1, 2, 3].map(() => new StoreError('STORE_UNAVAILABLE', 'on purpose', { retriable: true }))
    const of = lane(0)
    const outcome = writer.submit(unit(of, 1))
    while (failed === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(writer.check()).toMatchObject({ ready: false, detail: expect.stringContaining('on purpose') })
    expect(await outcome).toBe('written')
    expect(failed).toBe(3)
    expect(writer.check().ready).toBe(true)
    expect((await totals()).readings).toBe(1)
  })

  it('EM-3: when another sink has moved a partition on, only that partition’s rows are given up', async () => {
    const [mine, lost] = [lane(0), lane(1)]
    await store.write({ rows: { readings: [], versions: new Float64Array(0), arrivals: new Float64Array(0) }, anomalies: [], progress: [{ topic: lost.topic, partition: 1, after: null, offset: 9, throughMs: null, eventMs: null }] }) // prettier-ignore
    expect(await Promise.all([writer.submit(unit(mine, 1)), writer.submit(unit(lost, 1))])).toEqual([
      'written',
      'dropped',
    ])
    expect(moved).toEqual([lost])
    expect((await totals()).readings).toBe(1)
  })

  it('a unit of a partition that was taken away is dropped, not written', async () => {
    failures = [new StoreError('STORE_UNAVAILABLE', 'on purpose', { retriable: true })]
    const of = lane(0)
    const outcome = writer.submit(unit(of, 1))
    while (failed === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    of.active = false
    expect(await outcome).toBe('dropped')
    expect((await totals()).readings).toBe(0)
  })

  it('EM-7: writes the progress of a quiet partition, alone or beside rows', async () => {
    const [quiet, loud] = [lane(0, { throughMs: 77 }), lane(1)]
    writer.touch(quiet)
    await writer.submit(unit(loud, 1))
    await writer.submit(unit(loud, 2))
    const progress = await store.read((view) => view.progress())
    expect(progress).toContainEqual({ topic: 'telemetry.clean', partition: 0, offset: 0, throughMs: 77, eventMs: null })
    expect(quiet.stored).toBe(0)
  })

  it('stops although the store fails: what waits is dropped and stays in the log', async () => {
    failures = Array.from(
      { length: 1_000 },
      () => new StoreError('STORE_UNAVAILABLE', 'on purpose', { retriable: true }),
    )
    const outcome = writer.submit(unit(lane(0), 1))
    while (failed === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await writer.stop()
    expect(await outcome).toBe('dropped')
    expect(await writer.submit(unit(lane(0), 2))).toBe('dropped')
  })
})
