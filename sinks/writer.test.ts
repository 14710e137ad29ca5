// The writer over a real store that is made to fail on purpose.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { KafkaError } from '../platform/errors.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { createMetrics, type Registry } from '../platform/metrics.ts'
import { reading } from '../platform/store/contract-rows.ts'
import { NO_ROWS, type WriteBatch } from '../platform/store/port.ts'
import { systemClock } from '../platform/clock.ts'
import { SqliteStore } from '../platform/store/sqlite/store.ts'
import { StoreOutageError, StorePoisonError } from '../platform/store/store-errors.ts'
import { FaultyStore, type StoreFault } from '../test/fixtures/faulty-store.ts'
import { SinkPartition } from './core/sink-partition.ts'
import type { DecodedBatch } from './core/write-batch.ts'
import { SinkMetrics } from './sink-metrics.ts'
import { StoreWriter } from './writer.ts'

const folder = mkdtempSync(join(tmpdir(), 'plumbline-writer-'))
const TIMEOUT_MS = 50
let files = 0
let inner: SqliteStore
let store: FaultyStore
let batches: WriteBatch[]
let moved: SinkPartition[]
let opened: boolean[]
let dead: { offset: number; value: string; reason: string }[]
let deadLetterFailures: Error[]
let failedWith: unknown[]
let registry: Registry
let writer: StoreWriter

beforeEach(async () => {
  inner = new SqliteStore({ file: join(folder, `${(files += 1)}.sqlite`), access: 'write' })
  await inner.migrate()
  store = new FaultyStore(inner, () => 0)
  batches = []
  store.onWritten = (batch) => batches.push(batch)
  moved = []
  opened = []
  dead = []
  deadLetterFailures = []
  failedWith = []
  registry = createMetrics('sinks')
  writer = new StoreWriter({
    clock: systemClock,
    random: Math.random,
    store,
    lingerMs: 5,
    timeoutMs: TIMEOUT_MS,
    log: pino({ level: 'silent' }),
    metrics: new SinkMetrics(registry),
    deadLetter: async (_batch, rejects) => {
      const failure = deadLetterFailures.shift()
      if (failure !== undefined) throw failure
      for (const { batch, index, reason } of rejects)
        dead.push({ offset: batch.offset(index), value: String(batch.value(index)), reason })
    },
    onMoved: (partition) => moved.push(partition),
    onOpen: (isOpen) => opened.push(isOpen),
    onFailed: (error) => failedWith.push(error),
  })
})
afterEach(async () => {
  await writer.stop()
  await inner.close()
  store.assertAllFired()
})
afterAll(() => rmSync(folder, { recursive: true }))

const partitionAt = (number: number, throughMs: number | null = null): SinkPartition => {
  const partition = new SinkPartition({ topic: 'telemetry.clean', partition: number })
  partition.found(null, 0, throughMs)
  return partition
}
const storedOf = ({ advance }: SinkPartition): number | null => advance?.stored ?? null

/** Readings at these times, as one fetch would have brought them. */
const batchOf = (partition: SinkPartition, times: readonly number[]): DecodedBatch => {
  const { position } = partition.advance ?? { position: 0 }
  const records = new RecordBatchBuilder()
  for (const ts of times) records.add(Buffer.from('key'), Buffer.from(`bytes of ${ts}`))
  const bytes = Buffer.from(records.finish(1_000, -1n, -1, -1, false))
  bytes.writeBigInt64BE(BigInt(position), 0)
  const nextOffset = position + times.length
  const { topic, partition: number } = partition
  return {
    partition,
    batch: { topic, partition: number, batches: [new RecordBatch(bytes)], nextOffset, endOffset: nextOffset },
    readings: times.map((ts) => reading({ sensor_id: `s${number}`, ts, seq: ts })),
    anomalies: [],
    versions: new Float64Array(times.length),
    arrivals: new Float64Array(times.length),
    offsets: Float64Array.from(times, (_ts, i) => position + i),
    nextOffset,
  }
}
const oneRow = (partition: SinkPartition, ts: number): DecodedBatch => batchOf(partition, [ts])
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)
const outage = (): StoreFault => ({ kind: 'throw', error: new StoreOutageError('on purpose') })
const totals = () => inner.read((view) => view.totals())
const metric = async (name: string): Promise<number> =>
  (await registry.getSingleMetric(name)!.get()).values.reduce((sum, { value }) => sum + value, 0)
const struck = async (kind: keyof FaultyStore['fired'], times = 1): Promise<void> => {
  while (store.fired[kind] < times) await new Promise((resolve) => setTimeout(resolve, 5))
}

describe('writer', () => {
  it('puts what waits into one transaction and moves the partitions', async () => {
    const partitions = [partitionAt(0), partitionAt(1)]
    expect(await Promise.all(partitions.map((of) => writer.submit(oneRow(of, 1))))).toEqual(['written', 'written'])
    expect(batches.length).toBe(1)
    expect(partitions.map(({ state }) => state)).toMatchObject(
      [1, 1].map((at) => ({ kind: 'reading', stored: at, position: at })),
    )
    expect((await inner.read((view) => view.progress())).map(({ offset }) => offset)).toEqual([1, 1])
  })

  it('EM-5: a store that fails gets the same rows again, each once, and is not ready meanwhile', async () => {
    store.script(outage(), outage())
    const of = partitionAt(0)
    const outcome = writer.submit(oneRow(of, 1))
    await struck('throw')
    expect(writer.check()).toMatchObject({ ready: false, detail: expect.stringContaining('on purpose') })
    expect(writer.check().detail).toMatch(/breaker closed, \d outages in a row, next try in \d\.\d s/)
    expect(await outcome).toBe('written')
    expect(writer.check().ready).toBe(true)
    expect((await totals()).readings).toBe(1)
    expect(opened).toEqual([])
  })

  it('EM-5: the third outage in a row opens the breaker, the probe that succeeds closes it, and both are seen', async () => {
    store.script(outage(), outage(), outage(), outage())
    const outcome = writer.submit(oneRow(partitionAt(0), 1))
    await struck('throw', 3)
    expect(writer.isOpen).toBe(true)
    expect(await metric('plumbline_sink_breaker_state')).toBeGreaterThan(0)
    expect(await outcome).toBe('written')
    expect(opened).toEqual([true, false])
    expect(await metric('plumbline_sink_breaker_state')).toBe(0)
    expect(await metric('plumbline_sink_retries_total')).toBe(4)
    expect(await metric('plumbline_sink_write_failures_total')).toBe(4)
  })

  it('EM-5: a write without an answer is aborted and written again, and the next batches are smaller', async () => {
    store.script({ kind: 'silence' })
    const limit = await metric('plumbline_sink_batch_rows_limit')
    expect(await writer.submit(oneRow(partitionAt(0), 1))).toBe('written')
    expect(await metric('plumbline_sink_batch_rows_limit')).toBe(limit / 2)
    expect((await totals()).readings).toBe(1)
  })

  it('EM-3 EM-5: when only the answer is lost, the rows are in the store once and the partition is read again', async () => {
    store.script({ kind: 'lost-answer' })
    const of = partitionAt(0)
    expect(await writer.submit(oneRow(of, 1))).toBe('dropped')
    expect(moved).toEqual([of])
    expect(await totals()).toMatchObject({ readings: 1, superseded: 0 })
  })

  it('EM-5: a write that cannot even be aborted ends the sink, and what waits is dropped', async () => {
    store.script({ kind: 'stuck' })
    expect(await writer.submit(oneRow(partitionAt(0), 1))).toBe('dropped')
    expect(failedWith).toMatchObject([{ code: 'STORE_STUCK' }])
  })

  it('EM-5: after time-outs a large batch goes in piece by piece, and progress moves with each', async () => {
    store.script({ kind: 'silence' }, { kind: 'silence' })
    const of = partitionAt(0)
    const times = range(6_000)
    expect(await writer.submit(batchOf(of, times))).toBe('written')
    expect(batches.map(({ rows }) => rows.readings.length)).toEqual([5_000, 1_000])
    expect(batches.map(({ progress }) => [progress[0].after, progress[0].offset])).toEqual([[null, 5_000], [5_000, 6_000]]) // prettier-ignore
    expect((await totals()).readings).toBe(6_000)
  })

  it('X-3: all and only the poison rows are dead-lettered, with their bytes and the reason; then progress passes them', async () => {
    const partitions = [partitionAt(0), partitionAt(1)]
    const poison = new Set([1, 2, 50, 99, 100])
    store.isPoison = ({ sensor_id, ts }) => sensor_id === 's0' && poison.has(ts)
    const outcomes = partitions.map((of) => writer.submit(batchOf(of, range(100))))
    expect(await Promise.all(outcomes)).toEqual(['written', 'written'])
    expect(dead.map(({ offset, value }) => [offset, value])).toEqual([...poison].map((ts) => [ts - 1, `bytes of ${ts}`])) // prettier-ignore
    expect(dead[0].reason).toBe('s0 at 1 is poison on purpose')
    expect((await totals()).readings).toBe(195)
    expect(partitions.map(storedOf)).toEqual([100, 100])
    expect((await inner.read((view) => view.progress())).map(({ offset }) => offset)).toEqual([100, 100])
    expect(await metric('plumbline_sink_dead_letters_total')).toBe(5)
    expect(opened).toEqual([])
  })

  it('X-3: an outage in the middle of the search costs time and no row', async () => {
    store.isPoison = ({ ts }) => ts === 3
    store.script({ kind: 'throw', error: new StorePoisonError('first refusal') }, outage(), outage())
    expect(await writer.submit(batchOf(partitionAt(0), range(8)))).toBe('written')
    expect(dead.map(({ offset }) => offset)).toEqual([2])
    expect((await totals()).readings).toBe(7)
  })

  it('X-3: progress never passes a row that the dead-letter topic has not taken', async () => {
    store.isPoison = ({ ts }) => ts === 1
    deadLetterFailures = [new KafkaError('KafkaJSConnectionError', 'on purpose', { retriable: true })]
    expect(await writer.submit(batchOf(partitionAt(0), range(4)))).toBe('written')
    expect(deadLetterFailures).toEqual([])
    expect(dead.length).toBe(1)
    for (const { progress } of batches.slice(0, -1)) expect(progress).toEqual([])
  })

  it('stops although dead letters wait for the broker: their rows are dropped and stay in the log', async () => {
    store.isPoison = ({ ts }) => ts === 1
    deadLetterFailures = Array.from(
      { length: 100 },
      () => new KafkaError('KafkaJSConnectionError', 'on purpose', { retriable: true }),
    )
    const of = partitionAt(0)
    const outcome = writer.submit(batchOf(of, range(4)))
    while (deadLetterFailures.length === 100) await new Promise((resolve) => setTimeout(resolve, 5))
    await writer.stop()
    expect(await outcome).toBe('dropped')
    expect(storedOf(of)).toBe(null)
    expect((await inner.read((view) => view.progress())).length).toBe(0)
  })

  it('EM-3: when another sink has moved a partition on, only that partition’s rows are given up', async () => {
    const [mine, lost] = [partitionAt(0), partitionAt(1)]
    const ahead = { topic: lost.topic, partition: 1, after: null, offset: 9, throughMs: null, eventMs: null }
    await inner.write({ rows: NO_ROWS, anomalies: [], progress: [ahead] })
    expect(await Promise.all([writer.submit(oneRow(mine, 1)), writer.submit(oneRow(lost, 1))])).toEqual([
      'written',
      'dropped',
    ])
    expect(moved).toEqual([lost])
    expect((await totals()).readings).toBe(1)
  })

  it('a batch of a revoked partition is dropped, not written', async () => {
    store.script(outage())
    const of = partitionAt(0)
    const outcome = writer.submit(oneRow(of, 1))
    await struck('throw')
    of.revoke()
    expect(await outcome).toBe('dropped')
    expect((await totals()).readings).toBe(0)
  })

  it('EM-7: writes the progress of a quiet partition, alone or beside rows', async () => {
    const [quiet, loud] = [partitionAt(0, 77), partitionAt(1)]
    writer.touch(quiet)
    await writer.submit(oneRow(loud, 1))
    await writer.submit(oneRow(loud, 2))
    const progress = await inner.read((view) => view.progress())
    expect(progress).toContainEqual({ topic: 'telemetry.clean', partition: 0, offset: 0, throughMs: 77, eventMs: null })
    expect(storedOf(quiet)).toBe(0)
  })

  it('EM-3: a quiet partition that advances while its progress is written ends where the store is', async () => {
    const quiet = partitionAt(0)
    store.script({ kind: 'stall', ms: 20 })
    writer.touch(quiet)
    await struck('stall')
    quiet.passed(5)
    while (storedOf(quiet) === null) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(storedOf(quiet)).toBe(0)
    writer.touch(quiet)
    while (storedOf(quiet) === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(moved).toEqual([])
    expect((await inner.read((view) => view.progress()))[0].offset).toBe(5)
  })

  it('EM-5: the progress of a quiet partition is the probe where nothing else waits', async () => {
    store.standing = outage()
    writer.touch(partitionAt(0))
    await struck('throw', 3)
    expect(writer.isOpen).toBe(true)
    store.standing = null
    while (writer.isOpen) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(opened).toEqual([true, false])
  })

  it('stops although the store fails: what waits is dropped and stays in the log', async () => {
    store.standing = outage()
    const outcome = writer.submit(oneRow(partitionAt(0), 1))
    await struck('throw')
    await writer.stop()
    expect(await outcome).toBe('dropped')
    expect(await writer.submit(oneRow(partitionAt(0), 2))).toBe('dropped')
  })
})
