// What an operator does when a partition cannot continue by itself: `plumbline partitions skip` and `accept-loss`, on a real
// broker with real processes. Each happens once, passes over nothing else, and says what it did.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeFramed, readingType } from '../../platform/codec/reading.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { readCommitMetadata } from '../../schemas/refine.ts'
import { CLEAN, DLQ, EXTENTS, RAW } from '../../schemas/topics.ts'
import { bare } from '../fixtures/bare.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import { readOrder } from '../fixtures/order.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type RegistryFront, startRegistryFront } from '../fixtures/registry-front.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const CLI = fileURLToPath(new URL('../../bin/plumbline', import.meta.url))
const NOW = Date.now() - 60_000
const folder = mkdtempSync(join(tmpdir(), 'plumbline-repairs-'))
const storeEnv = { DATA_DIR: folder, SQLITE_FILE: join(folder, 'store.sqlite') }

let stack: Stack
let refine: ServiceProcess
let front: RegistryFront
let registryUrl: string
/** An id for which the registry never has an answer. */
let brokenId = 0

beforeAll(async () => {
  stack = await startStack(1)
  brokenId = await registerOther()
  front = await startRegistryFront(stack.registryUrl)
  front.broken.add(`/schemas/ids/${brokenId}`)
  registryUrl = front.url
  refine = await stack.startRefine({ REGISTRY_URL: registryUrl })
})
afterAll(async () => {
  await stack?.stop()
  front?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const reading = (sensor: string, seq: number): LoadRecord =>
  recordOf(readingOf(sensor, 1, seq, NOW + seq), stack.readingId)
const readings = (from: number, to: number): LoadRecord[] =>
  Array.from({ length: to - from }, (_, i) => reading('steady', from + i))
const cleanSeqs = async (): Promise<number> => (await readTopic(stack.kafka, CLEAN)).flat().length
const letters = async (reason: string) =>
  (await readTopic(stack.kafka, DLQ))
    .flat()
    .filter(({ headers }) => headers['__connect.errors.exception.class.name'] === reason)
const committed = async (group = 'refine', topic = RAW) => (await stack.admin.committedOffsets(group, topic))[0]!

interface Ran {
  readonly code: number
  readonly out: string
}

const plumbline = (...args: string[]): Promise<Ran> =>
  new Promise((resolve) => {
    const env = { ...process.env, ...stack.env({ REGISTRY_URL: registryUrl }), ...storeEnv }
    execFile(CLI, args, { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), out: stdout + stderr }),
    )
  })

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await delay(100)
}

describe('security 2: plumbline partitions skip', () => {
  it('moves the one record at which refine is stuck into the dead letters, with its bytes, once; refine continues', async () => {
    await stack.send(readings(0, 10))
    await settled(stack)
    const [{ end: stuckAt }] = await stack.admin.offsetRanges(RAW)
    const value = encodeFramed(readingType, brokenId, readingOf('stuck', 1, 0, NOW))
    await stack.send([{ key: Buffer.from('t1/stuck'), value }])
    await stack.send(readings(10, 20))
    await until(() => Promise.resolve(refine.output().includes('a schema is not known yet')))
    const other = await plumbline('partitions', 'skip', RAW, '0', String(stuckAt + 1), '--yes')
    expect(other).toMatchObject({
      code: 1,
      out: expect.stringContaining(`is at offset ${stuckAt}, not ${stuckAt + 1}`) as string,
    })
    const unasked = await plumbline('partitions', 'skip', RAW, '0', String(stuckAt))
    expect(unasked).toMatchObject({ code: 1, out: expect.stringContaining('--yes') as string })
    expect((await committed()).offset).toBe(stuckAt)
    const both = await Promise.all(
      [1, 2].map(() => plumbline('partitions', 'skip', RAW, '0', String(stuckAt), '--yes')),
    )
    expect(both.map(({ out }) => out).join()).toContain(`offset ${stuckAt} is a dead letter`)
    expect((await plumbline('partitions', 'skip', RAW, '0', String(stuckAt), '--yes')).out).toContain('already')
    await settled(stack)
    const found = await letters('SKIPPED')
    expect(found).toHaveLength(1)
    expect(found[0].value!.equals(value)).toBe(true)
    expect(found[0].headers['__connect.errors.offset']).toBe(String(stuckAt))
    expect(await cleanSeqs()).toBe(20)
  })
})

describe('plumbline partitions accept-loss', () => {
  it('faults 2: names the offsets of raw that were removed unread, and refine continues with its state', async () => {
    expect(await refine.stop()).toBe(0)
    const { offset: before } = await committed()
    await stack.send(readings(20, 30))
    await removeBelow(RAW, before + 5)
    expect((await plumbline('partitions')).out).toContain(`plumbline partitions accept-loss ${RAW} 0`)
    expect((await plumbline('partitions', 'accept-loss', RAW, '0', '--yes')).out).toContain(
      `offsets ${before} to ${before + 4} are lost`,
    )
    expect((await plumbline('partitions', 'accept-loss', RAW, '0', '--yes')).out).toContain('has lost nothing')
    refine = await stack.startRefine({ REGISTRY_URL: registryUrl })
    await settled(stack)
    const found = await letters('REMOVED_UNREAD')
    expect(found.map(({ headers }) => headers['__connect.errors.exception.message'])).toEqual([
      expect.stringContaining(`offsets ${before} to ${before + 4} of ${RAW}/0 were removed`),
    ])
    expect(await cleanSeqs()).toBe(25)
  })

  it('faults 2: a killed refine whose records since the snapshot are gone emits nothing twice', async () => {
    await refine.stop()
    refine = await stack.startRefine({ REGISTRY_URL: registryUrl, REFINE_SNAPSHOT_MS: '600000' })
    await stack.send(readings(30, 40))
    await settled(stack)
    await refine.kill()
    const { offset, metadata } = await committed()
    expect(readCommitMetadata(metadata).snapshot.input).toBeLessThan(offset)
    await removeBelow(RAW, offset)
    expect((await plumbline('partitions')).out).toContain(`plumbline partitions accept-loss ${RAW} 0`)
    expect((await plumbline('partitions', 'accept-loss', RAW, '0', '--yes')).out).toContain('no unread record is lost')
    refine = await stack.startRefine({ REGISTRY_URL: registryUrl })
    // The producers repeat what they have sent, and continue.
    await stack.send(readings(30, 45))
    await settled(stack)
    const clean = (await readTopic(stack.kafka, CLEAN)).flat().map(({ value }) => value!.toString('hex'))
    expect(new Set(clean).size).toBe(clean.length)
    expect(clean).toHaveLength(40)
  })

  it('faults 2: names what was removed before the store had it, and the sink goes on after it', async () => {
    const startSink = (): Promise<ServiceProcess> =>
      stack.processes.start({
        main: 'sinks/main.ts',
        env: stack.env({ ...storeEnv, REGISTRY_URL: registryUrl, SINKS_PORT: '0', LOG_LEVEL: 'info' }),
        ready: { output: '"listening"' },
      })
    const storedTo = async (): Promise<number> => (await stack.admin.committedOffsets('sink', CLEAN))[0]?.offset ?? 0
    const sink = await startSink()
    await until(async () => (await storedTo()) > 0)
    await sink.stop()
    const before = await storedTo()
    await stack.send(readings(45, 50))
    await settled(stack)
    const [{ end }] = await stack.admin.offsetRanges(CLEAN)
    await stack.send(readings(50, 52))
    await settled(stack)
    await removeBelow(CLEAN, end)
    const stopped = await startSink()
    expect(await stopped.exited).toBe(1)
    expect(stopped.output()).toContain(`plumbline partitions accept-loss ${CLEAN} 0`)
    const said = await plumbline('partitions', 'accept-loss', CLEAN, '0', '--yes')
    expect(said.out).toMatch(
      new RegExp(`offsets \\d+ to ${end - 1} of ${CLEAN}/0 were removed .* the store continues at ${end}`),
    )
    expect((await plumbline('partitions', 'accept-loss', CLEAN, '0', '--yes')).out).toContain('has lost nothing')
    const again = await startSink()
    await until(async () => (await storedTo()) > Math.max(before, end))
    await again.stop()
    const found = await letters('REMOVED_UNREAD')
    expect(found.filter(({ headers }) => headers['__connect.errors.stage'] === 'sink')).toHaveLength(1)
  })

  it('faults 6: extents that were removed unread lose no place: the order takes their readings from clean', async () => {
    await refine.stop()
    const { offset } = await committed('sequencer', EXTENTS)
    // Refine without a sequencer.
    const alone = await stack.processes.start({
      main: 'test/faults/refine-entry.ts',
      env: stack.env(QUICK),
      ready: { output: 'the partition is owned and restored' },
    })
    await stack.send(readings(52, 57))
    await settled(stack)
    await stack.send(readings(57, 62))
    await settled(stack)
    const [{ end }] = await stack.admin.offsetRanges(EXTENTS)
    await stack.send(readings(62, 65))
    await settled(stack)
    await alone.stop()
    expect(end).toBeGreaterThan(offset)
    await removeBelow(EXTENTS, end)
    // It is not ready: the order has stopped.
    refine = await stack.processes.start({
      main: 'stream-jobs/main.ts',
      env: stack.env({ ...QUICK, REGISTRY_URL: registryUrl, STREAM_JOBS_PORT: '0' }),
      ready: { output: 'the partition is owned and restored' },
    })
    await until(() => Promise.resolve(refine.output().includes(`plumbline partitions accept-loss ${EXTENTS} 0`)))
    const said = await plumbline('partitions', 'accept-loss', EXTENTS, '0', '--yes')
    expect(said.out).toMatch(/10 readings of telemetry.clean\/0 got their sequences \d+ to \d+ from clean itself/)
    await until(async () => (await sequenced()) === (await emitted()))
  })

  it('faults 6: a record that is no extent is passed over, by its offset, and only that one', async () => {
    const [{ end }] = await stack.admin.offsetRanges(EXTENTS)
    const producer = await stack.kafka.producer()
    const records = new RecordBatchBuilder()
    records.add(Buffer.from('0'), Buffer.from('no extent'))
    await producer.send([{ topic: EXTENTS, partition: 0, records }])
    await producer.close()
    await stack.send(readings(65, 70))
    await until(() => Promise.resolve(refine.output().includes('the value does not begin with a schema id')))
    expect((await plumbline('partitions', 'skip', EXTENTS, '0', String(end + 1), '--yes')).out).toContain(
      `is at offset ${end}`,
    )
    expect((await plumbline('partitions', 'skip', EXTENTS, '0', String(end), '--yes')).out).toContain(
      `passed over offset ${end}`,
    )
    expect((await plumbline('partitions', 'skip', EXTENTS, '0', String(end), '--yes')).out).toContain('already')
    await settled(stack)
    await until(async () => (await sequenced()) === (await emitted()))
  })
})

const emitted = async (): Promise<number> => readCommitMetadata((await committed()).metadata).ledger.emitted

/** Readings that have a place in the order, which is gapless from 0. */
async function sequenced(): Promise<number> {
  let next = 0
  for (const { base_sequence, count } of await readOrder(stack)) {
    expect(base_sequence).toBe(next)
    next += count
  }
  return next
}

async function registerOther(): Promise<number> {
  const response = await fetch(`${stack.registryUrl}/subjects/other-value/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: '{"type":"record","name":"Other","fields":[]}' }),
  })
  return ((await response.json()) as { id: number }).id
}

async function removeBelow(topic: string, offset: number): Promise<void> {
  const partitions = [{ partition: 0, offset: String(offset) }]
  await bare('admin', { brokers: stack.broker.brokers, deleteRecords: { topic, partitions } })
  await until(async () => (await stack.admin.offsetRanges(topic))[0].start >= offset)
}
