// Dead letters from end to end: real Kafka, real refine, the command line as a process that can be killed.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import avsc from 'avsc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../platform/config.ts'
import { encodeFramed } from '../../platform/codec/reading.ts'
import { partitionOf } from '../../platform/kafka/partitioner.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { schemaText } from '../../schemas/load.ts'
import { REPLAY_OF_HEADER } from '../../schemas/refine.ts'
import { CLEAN, DLQ, DLQ_MARKS, LATE, RAW, subjectOf } from '../../schemas/topics.ts'
import { type LoadRecord, readingOf, recordOf } from '../../test/fixtures/load.ts'
import type { ServiceProcess } from '../../test/fixtures/processes.ts'
import { settled, type Stack, startStack } from '../../test/fixtures/refine.ts'
import { readTopic } from '../../test/fixtures/topic-records.ts'
import { audit } from '../../audit/audit.ts'
import type { AuditReport } from '../../audit/core/report.ts'
import { eachLetters } from '../../platform/dead-letters/letters.ts'
import { Outcomes, TRANSACTIONAL_ID } from './outcomes.ts'
import { NODE, ROOT } from '../../deploy/paths.ts'

const PARTITIONS = 2
/** Some 15 transactions of a replay: enough to be killed in the midst of them. */
const UNKNOWN = 3_000
const SENSORS = 20
const NOW = Date.now() - 3_600_000

let stack: Stack
let refine: ServiceProcess
let dataDir: string
let newSchemaId: number
let unknown: LoadRecord[]

const env = (): Record<string, string> => stack.env({ DATA_DIR: dataDir, SQLITE_FILE: join(dataDir, 'none.sqlite') })
const start = (args: readonly string[]) =>
  spawn(NODE, [`${ROOT}cli/main.ts`, 'dlq', ...args], { env: { PATH: process.env.PATH, ...env() } })

async function dlq(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = start(args)
  let out = ''
  let err = ''
  child.stdout.on('data', (bytes: Buffer) => (out += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (err += bytes.toString()))
  const [code] = (await once(child, 'close')) as [number]
  return { code, out, err }
}

const lines = (out: string): Record<string, unknown>[] =>
  out
    .trim()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

const auditNow = (): Promise<AuditReport> => audit(loadConfig(env()), stack.kafka)
const flat = async (topic: string) => (await readTopic(stack.kafka, topic)).flat()
const marked = async (): Promise<number> => (await flat(DLQ_MARKS)).length
const bytesOf = ({ key, value }: { key: Buffer | null; value: Buffer | null }): string =>
  `${key?.toString('hex')} ${value?.toString('hex')}`

/** A transaction's marker may end raw, where refine is never handed it: the audit tells when all is done. */
async function refined(): Promise<AuditReport> {
  for (const deadline = performance.now() + 60_000; ; await delay(200)) {
    const report = await auditNow()
    if (report.table.inFlight.toRefine === 0 && report.table.buffered === 0) return report
    if (performance.now() > deadline) throw new Error(`refine is not through: ${JSON.stringify(report.table)}`)
  }
}

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'plumbline-dlq-'))
  stack = await startStack(PARTITIONS)
  refine = await stack.startRefine()
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dataDir, { recursive: true, force: true })
})

const NEWER = (() => {
  const schema = JSON.parse(schemaText('reading')) as { fields: object[] }
  schema.fields.push({ name: 'firmware', type: ['null', 'string'], default: null })
  return schema
})()
const newerType = avsc.Type.forSchema(NEWER as unknown as avsc.Schema, { logicalTypes: {} })

async function registerNewer(): Promise<number> {
  const response = await fetch(`${stack.registryUrl}/subjects/${subjectOf(RAW)}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema: JSON.stringify(NEWER) }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { id: number }).id
}

describe('X-3: dead letters', () => {
  it('are listed by reason, and shown with headers and bytes', async () => {
    // The registry counts upwards, so the id of the schema that is registered later is known now.
    newSchemaId = Math.max(...stack.schemaIds.values()) + 1
    unknown = Array.from({ length: UNKNOWN }, (_, i) => {
      const reading = readingOf(`u${i % SENSORS}`, 1, Math.floor(i / SENSORS), NOW + i)
      const key = Buffer.from(`t1/u${i % SENSORS}`)
      return { key, value: encodeFramed(newerType, newSchemaId, { ...reading, firmware: '7' }) }
    })
    await stack.send([{ key: Buffer.from('t1/noise'), value: Buffer.from('gar\u001bbage') }, ...unknown])
    await stack.send([recordOf(readingOf('good', 1, 0, NOW), stack.readingId)])
    await settled(stack)
    expect(lines((await dlq('list', '--summary', '--json')).out)[0]).toMatchObject([
      { stage: 'refine', reason: 'UNKNOWN_SCHEMA', topic: RAW, open: UNKNOWN, replayed: 0, dropped: 0 },
      { reason: 'NOT_FRAMED', open: 1 },
    ])
    const [noise] = lines((await dlq('list', '--reason', 'NOT_FRAMED', '--json')).out)
    expect(noise).toMatchObject({ state: 'open', key: 't1/noise', bytes: 8, stage: 'refine' })
    const shown = await dlq('show', String(noise.place))
    expect(shown.out).toContain('__connect.errors.exception.class.name: NOT_FRAMED')
    expect(shown.out).toContain('67 61 72 1b 62 61 67 65')
    expect(shown.out).toContain('stays: it would be refused again')
    expect(shown.out).not.toContain('\u001b')
    expect((await dlq('list', '--sensor', 'u3', '--limit', '5', '--json')).out.trim().split('\n')).toHaveLength(5)
    expect((await auditNow()).problems).toEqual([])
  })

  it('say what is wrong with a place or a filter', async () => {
    for (const [args, text] of [
      [['show', '0@999999'], 'there is no dead letter at 0@999999'],
      [['show', 'x'], 'expected <partition>@<offset>'],
      [['list', '--since', 'yesterday'], '--since is "yesterday"'],
      [['drop'], 'say which dead letters to drop'],
      [['replay', '1@999999'], 'there is no dead letter at 1@999999'],
    ] as const) {
      const { code, err } = await dlq(...args)
      expect([code, err]).toEqual([1, expect.stringContaining(text)])
    }
  })

  it('stay while they would be refused again, and a dry run says so and sends nothing', async () => {
    const before = await flat(RAW)
    const dry = await dlq('replay', '--dry-run')
    expect(dry.out).toContain('0 would be replayed')
    expect(dry.out).toContain(`${(UNKNOWN + 1).toLocaleString('en')} stay open`)
    expect((await dlq('replay', '--reason', 'NOT_FRAMED')).out).toContain('0 replayed')
    expect(await flat(RAW)).toHaveLength(before.length)
    expect(await marked()).toBe(0)
  })

  it('are in one run’s hands: one that has begun ends the one before it, which can commit nothing any more', async () => {
    const [, second] = (await readTopic(stack.kafka, DLQ))[0]
    const reader = await stack.kafka.rangeReader()
    const former = await Outcomes.open(stack.kafka, stack.admin)
    const latter = await Outcomes.open(stack.kafka, stack.admin)
    const range = { start: second.offset, end: second.offset + 1 }
    await eachLetters(
      reader,
      0,
      range,
      () => false,
      ([letter]) => former.replay(letter, 'record', 0),
    )
    await expect(former.commit()).rejects.toMatchObject({ code: 'TAKEN_OVER' })
    await Promise.all([former.close(), latter.close(), reader.close()])
    expect(await marked()).toBe(0)
  })

  it('come back byte by byte, once each, though the replay is killed, left within a transaction, and repeated', async () => {
    expect(await registerNewer()).toBe(newSchemaId)
    // A new process asks the registry again; the old one would for half a minute not.
    await refine.stop()
    refine = await stack.startRefine()
    expect((await dlq('replay', '--dry-run', '--json')).out.trim().split('\n').at(-1)).toContain(`"done":${UNKNOWN}`)
    expect(await marked()).toBe(0)

    const killed = start(['replay'])
    const ended = once(killed, 'close')
    const isUnmarked = async () => (await stack.admin.offsetRanges(DLQ_MARKS)).every(({ end }) => end === 0)
    while (await isUnmarked()) await delay(5)
    killed.kill('SIGKILL')
    await ended
    const afterKill = await marked()
    expect(afterKill).toBeGreaterThan(0)
    expect(afterKill).toBeLessThan(UNKNOWN)

    // Another that was killed between its send and its commit.
    const hanging = await stack.kafka.transactionalProducer({
      transactionalId: TRANSACTIONAL_ID,
      transactionTimeoutMs: 10_000,
    })
    await hanging.fence()
    const { key, value } = unknown.at(-1)!
    const records = new RecordBatchBuilder()
    records.add(key, value, [{ key: REPLAY_OF_HEADER, value: '0@1' }])
    const open = await hanging.begin()
    await open.send([{ topic: RAW, partition: partitionOf(key!, 0, key!.length, PARTITIONS), records }])

    const second = await dlq('replay', '--json')
    expect([second.code, second.err]).toEqual([0, expect.not.stringContaining('plumbline:')])
    expect(lines(second.out)[0]).toMatchObject({ outcome: 'replayed', stopped: false, stayed: 1 })
    await expect(open.commit()).rejects.toThrow()
    await hanging.close()
    const third = await dlq('replay')
    expect(third.out).toContain('0 replayed')

    const report = await refined()
    expect(report.problems).toEqual([])
    expect(report.table.letters).toEqual({ open: 1, replayed: UNKNOWN, dropped: 0 })
    const expected = unknown.map(bytesOf).sort()
    const replays = (await flat(RAW)).filter(({ headers }) => REPLAY_OF_HEADER in headers)
    expect(replays.map(bytesOf).sort()).toEqual(expected)
    const clean = (await flat(CLEAN)).filter(({ key: of }) => of!.toString().startsWith('t1/u'))
    expect(clean.map(bytesOf).sort()).toEqual(expected)
  })

  it('are dropped for good', async () => {
    const [{ place }] = lines((await dlq('list', '--state', 'open', '--json')).out)
    expect((await dlq('drop', String(place), '--dry-run')).out).toContain('1 would be dropped')
    expect((await dlq('drop', String(place))).out).toContain('1 dropped')
    expect((await dlq('drop', String(place))).out).toContain('0 dropped')
    expect((await dlq('list', '--state', 'open')).out).toContain('no dead letters')
    const report = await auditNow()
    expect(report.problems).toEqual([])
    expect(report.table.letters).toEqual({ open: 0, replayed: UNKNOWN, dropped: 1 })
  })

  it('of the sink reach the store’s side by late, since clean and late have one writer', async () => {
    const [partition, records] = [...(await readTopic(stack.kafka, CLEAN)).entries()].find(([, all]) => all.length > 0)!
    const { key, value, offset } = records[0]
    const letter = new RecordBatchBuilder()
    letter.add(key, value, [
      { key: '__connect.errors.topic', value: CLEAN },
      { key: '__connect.errors.partition', value: String(partition) },
      { key: '__connect.errors.offset', value: String(offset) },
      { key: '__connect.errors.stage', value: 'TASK_PUT' },
      { key: '__connect.errors.exception.class.name', value: 'plumbline.PoisonRow' },
    ])
    const producer = await stack.kafka.producer()
    await producer.send([{ topic: DLQ, partition, records: letter }])
    await producer.close()
    expect((await auditNow()).problems).toEqual([])
    expect((await dlq('replay', '--stage', 'TASK_PUT')).out).toContain('1 replayed, 1 of them on to telemetry.late')
    const report = await refined()
    expect(report.problems).toEqual([])
    const late = await flat(LATE)
    expect(late.map((record) => [bytesOf(record), record.headers['plumbline.reason']])).toEqual([
      [bytesOf({ key, value }), 'replayed'],
    ])
  })

  it('that look replayed in the marks and are not in raw unbalance the audit, as do two replays of one', async () => {
    const producer = await stack.kafka.producer()
    const mark = new RecordBatchBuilder()
    mark.add(Buffer.from('0@777777'), Buffer.from('{"outcome":"replayed"}'))
    const again = new RecordBatchBuilder()
    const [first] = (await readTopic(stack.kafka, RAW))[0].filter(({ headers }) => REPLAY_OF_HEADER in headers)
    again.add(first.key, first.value, [{ key: REPLAY_OF_HEADER, value: first.headers[REPLAY_OF_HEADER] }])
    await producer.send([
      { topic: DLQ_MARKS, partition: 0, records: mark },
      { topic: RAW, partition: 0, records: again },
    ])
    await producer.close()
    const { problems } = await refined()
    expect(problems.map(({ code }) => code).sort()).toEqual(['REPLAYED_TWICE', 'REPLAY_MISSING'])
  })
})
