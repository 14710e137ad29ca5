// What nobody should send, and what other clients send in ways of their own: each goes where it belongs, with its
// original bytes, and the pipeline continues. While the registry is away nobody can tell a new schema from garbage: refine
// waits then, and dead-letters nothing.
import { setTimeout as delay } from 'node:timers/promises'
import avsc from 'avsc'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeFramed, readingType } from '../../platform/codec/reading.ts'
import { partitionOf } from '../../platform/kafka/partitioner.ts'
import { schemaText } from '../../schemas/load.ts'
import { CLEAN, DLQ, RAW, subjectOf } from '../../schemas/topics.ts'
import { bare } from '../fixtures/bare.ts'
import { javaProduce } from '../fixtures/java-producer.ts'
import { type LoadRecord, readingOf, recordOf, UNKNOWN_SCHEMA_ID } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'
import { verify } from '../oracle/verify.ts'

const PARTITIONS = 2
const NOW = Date.now() - 60_000

let stack: Stack
let refine: ServiceProcess

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
  refine = await stack.startRefine()
})
afterAll(() => stack?.stop())

const good = (sensor: string, seq = 0): LoadRecord => recordOf(readingOf(sensor, 1, seq, NOW + seq), stack.readingId)
const partitionOfKey = (key: Buffer): number => partitionOf(key, 0, key.length, PARTITIONS)

/** Reasons in the dead letters, by sensor name of the key. */
async function reasons(): Promise<Map<string, string>> {
  const letters = (await readTopic(stack.kafka, DLQ)).flat()
  return new Map(
    letters.map(({ key, headers }) => [
      key?.toString().slice(3) ?? 'null',
      headers['__connect.errors.exception.class.name'],
    ]),
  )
}

const cleanKeys = async (): Promise<string[]> =>
  (await readTopic(stack.kafka, CLEAN)).flat().map(({ key }) => key!.toString())

describe('records that nobody should send', () => {
  it('X-3: each kind of bad record is dead-lettered with its bytes and its reason, and the rest continues', async () => {
    const { readingId } = stack
    const { value } = good('any')
    const keyed = (sensor: string, bytes: Buffer | null): LoadRecord => ({
      key: Buffer.from(`t1/${sensor}`),
      value: bytes,
    })
    const reading = (sensor: string, change: object): LoadRecord =>
      recordOf({ ...readingOf(sensor, 1, 0, NOW), ...change }, readingId)
    const wrongTypes = avsc.Type.forSchema({
      type: 'record',
      name: 'Reading',
      fields: [{ name: 'tenant_id', type: 'long' }],
    })
    const bad: [LoadRecord, string][] = [
      [keyed('noise', Buffer.from('no Avro at all')), 'NOT_FRAMED'],
      [keyed('short', Buffer.from([0, 0])), 'NOT_FRAMED'],
      [
        keyed('unknown', encodeFramed(readingType, UNKNOWN_SCHEMA_ID, readingOf('unknown', 1, 0, NOW))),
        'UNKNOWN_SCHEMA',
      ],
      [keyed('types', encodeFramed(wrongTypes, readingId, { tenant_id: 7 })), 'UNDECODABLE'],
      [keyed('cut', value!.subarray(0, value!.length - 4)), 'UNDECODABLE'],
      [keyed('longer', Buffer.concat([value!, Buffer.from([1])])), 'UNDECODABLE'],
      [reading('nan', { temperature_c: NaN }), 'METRIC_OUT_OF_BOUNDS'],
      [reading('infinite', { power_w: Infinity }), 'METRIC_OUT_OF_BOUNDS'],
      [reading('cold', { temperature_c: -274 }), 'METRIC_OUT_OF_BOUNDS'],
      [reading('future', { ts: Date.now() + 3_600_000 }), 'FUTURE_TIME'],
      [reading('negative', { seq: -1 }), 'INVALID_SEQ'],
      [keyed('tombstone', null), 'NO_VALUE'],
      [{ key: null, value }, 'NO_KEY'],
      [keyed('elsewhere', value), 'KEY_MISMATCH'],
    ]
    await stack.send(bad.map(([record]) => record))
    await stack.send([good('after')])
    await settled(stack)
    const found = await reasons()
    for (const [{ key }, reason] of bad)
      expect([key?.toString(), found.get(key?.toString().slice(3) ?? 'null')]).toEqual([key?.toString(), reason])
    expect(found.size).toBe(bad.length)
    expect(await cleanKeys()).toContain('t1/after')
    expect((await verify(stack)).problems).toEqual([])
  })

  it('X-1: a record of 2 MB is refused with an error that says so, and nothing of it is in raw', async () => {
    const huge = recordOf(
      { ...readingOf('huge', 1, 0, NOW), tags: { text: 'x'.repeat(2 * 1_048_576) } },
      stack.readingId,
    )
    await expect(stack.send([huge])).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' })
    const raw = (await readTopic(stack.kafka, RAW)).flat()
    expect(raw.some(({ key }) => key?.toString() === 't1/huge')).toBe(false)
  })

  it.each(['GZIP', 'Snappy', 'LZ4', 'ZSTD'])('a foreign producer may compress by %s', async (compression) => {
    const records = [0, 1, 2].map((seq) => good(compression, seq))
    const partition = partitionOfKey(records[0].key!)
    await bare('produce', {
      brokers: stack.broker.brokers,
      topic: RAW,
      partition,
      compression,
      records: records.map(({ key, value }) => ({ key: key!.toString('base64'), value: value!.toString('base64') })),
    })
    await settled(stack)
    expect((await cleanKeys()).filter((key) => key === `t1/${compression}`)).toHaveLength(3)
  })

  it.each(['gzip', 'snappy', 'lz4', 'zstd'])('Kafka’s own producer may compress by %s', async (compression) => {
    const lines = Array.from(
      { length: 200 },
      (_, i) => `t1/java-${compression}-${i}\tthe same words over and over again, line ${i}`,
    )
    await javaProduce(stack.broker.brokers, RAW, compression, lines)
    await settled(stack)
    const letters = (await readTopic(stack.kafka, DLQ))
      .flat()
      .filter(({ key }) => key?.toString().startsWith(`t1/java-${compression}-`))
    expect(letters.map(({ key, value }) => `${key}\t${value}`).sort()).toEqual(lines.sort())
  })

  it('readings of a foreign transaction count once it is committed, and never when it is aborted', async () => {
    const produce = (sensor: string, transaction: 'commit' | 'abort'): Promise<unknown> => {
      const { key, value } = good(sensor)
      return bare('produce', {
        brokers: stack.broker.brokers,
        topic: RAW,
        partition: partitionOfKey(key!),
        transaction,
        records: [{ key: key!.toString('base64'), value: value!.toString('base64') }],
      })
    }
    await produce('aborted', 'abort')
    await produce('committed', 'commit')
    await stack.send([good('aborted-after'), good('committed-after')])
    await settledButMarkers()
    const keys = await cleanKeys()
    expect(keys).toContain('t1/committed')
    expect(keys).not.toContain('t1/aborted')
    expect((await verify(stack)).problems).toEqual([])
  })

  it('waits while the registry is away, beyond its session, and dead-letters nothing', async () => {
    const schema = JSON.parse(schemaText('reading')) as { fields: object[] }
    schema.fields.push({ name: 'firmware', type: ['null', 'string'], default: null })
    const id = await registerNewer(JSON.stringify(schema))
    const newer = avsc.Type.forSchema(schema as unknown as avsc.Schema, { logicalTypes: {} })
    const key = Buffer.from('t1/newer')
    await stack.registry.kill()
    await stack.send([{ key, value: encodeFramed(newer, id, { ...readingOf('newer', 1, 0, NOW), firmware: '7' }) }])
    await delay(1.5 * Number(QUICK.REFINE_SESSION_MS))
    expect(await cleanKeys()).not.toContain('t1/newer')
    expect((await reasons()).has('newer')).toBe(false)
    await stack.startRegistry()
    await settledButMarkers()
    expect(await cleanKeys()).toContain('t1/newer')
    expect((await reasons()).has('newer')).toBe(false)
    expect(refine.output()).not.toContain('in doubt')
  })

  it('EM-2: on an idle partition an open gap is given up, although nothing arrives any more', async () => {
    await stack.send([good('gap', 0), good('gap', 2)])
    while ((await cleanKeys()).filter((key) => key === 't1/gap').length < 2) await delay(100)
    await settledButMarkers()
    const { problems, counts } = await verify(stack)
    expect(problems).toEqual([])
    expect(counts.controls).toBeGreaterThan(0)
  })
})

/** A foreign transaction's marker may end raw; a reading after it on every partition makes the ends comparable. */
async function settledButMarkers(): Promise<void> {
  const names = Array.from({ length: 40 }, (_, i) => `mark${i}-${Math.random().toString(36).slice(2)}`)
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    await stack.send([good(names.find((name) => partitionOfKey(Buffer.from(`t1/${name}`)) === partition)!)])
  }
  await settled(stack)
}

async function registerNewer(schema: string): Promise<number> {
  const response = await fetch(`${stack.registryUrl}/subjects/${subjectOf(RAW)}/versions`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.schemaregistry.v1+json' },
    body: JSON.stringify({ schema }),
  })
  expect(response.status).toBe(200)
  return ((await response.json()) as { id: number }).id
}
