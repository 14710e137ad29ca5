// A small topic followed as a table, on a real broker that goes away, comes back and loses the topic meanwhile.
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bare } from '../../test/fixtures/bare.ts'
import { startTestKafka, type TestKafka } from '../../test/fixtures/kafka.ts'
import { until } from '../../test/fixtures/metric.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config.ts'
import { KafkaError } from '../errors.ts'
import { connectKafka } from './kafkajs/client.ts'
import type { Kafka, OutgoingBatch } from './port.ts'
import { RecordBatchBuilder } from './record-batch/builder.ts'
import { type FollowedTable, followTable } from './topic-table.ts'

let broker: TestKafka
let kafka: Kafka
const ends: AbortController[] = []

beforeAll(async () => {
  broker = await startTestKafka()
  kafka = connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' }))
})
afterAll(async () => {
  for (const end of ends) end.abort()
  await broker?.stop()
})

async function makeTopic(topic: string): Promise<void> {
  const admin = await kafka.admin()
  await admin.ensureTopics([{ name: topic, partitions: 1, configs: { 'cleanup.policy': 'compact' } }])
  await admin.close()
}

const batchOf = (topic: string, entries: readonly (readonly [string, string | null])[]): OutgoingBatch => {
  const records = new RecordBatchBuilder()
  for (const [key, value] of entries) records.add(Buffer.from(key), value === null ? null : Buffer.from(value))
  return { topic, partition: 0, records }
}

async function send(topic: string, ...entries: readonly (readonly [string, string | null])[]): Promise<void> {
  const producer = await kafka.producer()
  await producer.send([batchOf(topic, entries)])
  await producer.close()
}

/** The broker by readers that break off after each of their first batches with records. */
function breaking(broken: { times: number }, times: number): Kafka {
  return {
    ...kafka,
    rangeReader: async () => {
      const reader = await kafka.rangeReader()
      return {
        read: (...args) => reader.read(...args),
        close: () => reader.close(),
        follow: (at, from, signal, onBatch) =>
          reader.follow(at, from, signal, async (fetched) => {
            await onBatch(fetched)
            if (fetched.batches.length === 0 || broken.times >= times) return
            broken.times += 1
            throw new KafkaError('CLIENT', 'the connection breaks')
          }),
      }
    },
  }
}

interface Followed extends FollowedTable {
  /** "key=value" in the order of their coming. */
  readonly seen: string[]
  readonly looks: { current: number }
  readonly end: AbortController
}

function follow(topic: string, onRecord: (text: string) => void = () => undefined, by = kafka): Followed {
  const seen: string[] = []
  const looks = { current: 0 }
  const end = new AbortController()
  ends.push(end)
  const table = followTable(
    {
      ...{ kafka: by, clock: systemClock, random: Math.random, log: pino({ level: 'silent' }), topic },
      onRecord: ({ key, value }) => {
        const text = `${key}=${value?.toString() ?? 'gone'}`
        onRecord(text)
        seen.push(text)
      },
      onCurrent: () => (looks.current += 1),
    },
    end.signal,
  )
  return { ...table, seen, looks, end }
}

/** One transaction, ended as told. */
async function transact(
  topic: string,
  how: 'commit' | 'abort',
  ...entries: readonly (readonly [string, string])[]
): Promise<void> {
  const producer = await kafka.transactionalProducer({ transactionalId: `t-${topic}`, transactionTimeoutMs: 10_000 })
  await producer.fence()
  const transaction = await producer.begin()
  for (const entry of entries) await transaction.send([batchOf(topic, [entry])])
  await transaction[how]()
  await producer.close()
}

describe('a topic followed as a table', () => {
  test('is there first, tombstones included, then what comes; an empty one is caught up with at once', async () => {
    await makeTopic('plain')
    await makeTopic('empty')
    await send('plain', ['a', '1'], ['b', '2'], ['a', null])
    const table = follow('plain')
    await table.caughtUp
    expect(table.seen).toEqual(['a=1', 'b=2', 'a=gone'])
    await send('plain', ['c', '3'])
    await until(() => Promise.resolve(table.seen.length > 3), 'what comes is handed over')
    expect(table.seen.at(-1)).toBe('c=3')
    await follow('empty').caughtUp
    table.end.abort()
    await table.ended
  })

  test('that ends in aborted records and markers is caught up with, and only after what was committed', async () => {
    await makeTopic('tail')
    // More than one fetch brings: the first of them holds nothing that may be read, and yet is not the end.
    const dropped = ['x', 'dropped'.repeat(130_000)] as const
    await transact('tail', 'abort', dropped, dropped, dropped, dropped, dropped, dropped)
    await transact('tail', 'commit', ['a', '1'])
    for (let i = 0; i < 3; i += 1) await transact('tail', 'abort', ['x', 'dropped'])
    const table = follow('tail')
    await table.caughtUp
    expect(table.seen).toEqual(['a=1'])
    await transact('tail', 'commit', ['b', '2'])
    await until(() => Promise.resolve(table.seen.length > 1), 'what comes is handed over')
    expect(table.seen).toEqual(['a=1', 'b=2'])
  })

  test('that does not exist yet is waited for', async () => {
    const table = follow('later')
    await makeTopic('later')
    await send('later', ['a', '1'])
    await table.caughtUp
    expect(table.seen).toEqual(['a=1'])
  })

  test('ends with what the handler threw', async () => {
    await makeTopic('handler')
    await send('handler', ['a', '1'], ['b', '2'])
    const table = follow('handler', (text) => {
      if (text === 'b=2') throw new Error('not this one')
    })
    await expect(table.ended).rejects.toThrow('not this one')
    expect(table.seen).toEqual(['a=1'])
  })

  test('continues where it was when the broker was killed and comes back: nothing twice, nothing left out', async () => {
    await makeTopic('outage')
    await send('outage', ['a', '1'])
    const table = follow('outage')
    await table.caughtUp
    await broker.kill()
    const { current } = table.looks
    await broker.restart()
    await send('outage', ['b', '2'])
    await until(() => Promise.resolve(table.seen.length > 1), 'following continues')
    await send('outage', ['c', '3'])
    await until(() => Promise.resolve(table.seen.length > 2 && table.looks.current > current), 'following continues')
    expect(table.seen).toEqual(['a=1', 'b=2', 'c=3'])
  })

  test('continues where it was when its connection breaks after a batch, again and again', async () => {
    await makeTopic('breaks')
    await send('breaks', ['a', '1'], ['b', '2'])
    const broken = { times: 0 }
    const table = follow('breaks', undefined, breaking(broken, 3))
    await table.caughtUp
    for (const key of ['c', 'd', 'e']) {
      await send('breaks', [key, '3'])
      await until(() => Promise.resolve(table.seen.includes(`${key}=3`)), 'following continues')
    }
    expect(broken.times).toBe(3)
    expect(table.seen).toEqual(['a=1', 'b=2', 'c=3', 'd=3', 'e=3'])
  })

  test('that was recreated is read from its beginning', async () => {
    await makeTopic('recreated')
    await send('recreated', ['a', '1'], ['b', '2'], ['c', '3'])
    const table = follow('recreated')
    await table.caughtUp
    await bare('admin', { brokers: broker.brokers, deleteTopic: 'recreated' })
    await makeTopic('recreated')
    await send('recreated', ['d', '4'])
    await until(() => Promise.resolve(table.seen.length > 3), 'the new log is read')
    expect(table.seen).toEqual(['a=1', 'b=2', 'c=3', 'd=4'])
  })
})
