// The seven dangers of kafkajs 2.2.4 on a real broker: each is first reproduced with the client as it comes, in a process
// of its own, and then shown not to be there behind our port. What is not the client's but a protocol's (5) is reproduced
// with our port used without our rule; that the rule holds is shown in test/faults/kills.real.test.ts by freezing a
// process inside a transaction.
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import type { Kafka, OutgoingBatch, TransactionalProducer } from '../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { bare } from '../fixtures/bare.ts'
import type { TestKafka } from '../fixtures/kafka.ts'
import { END_TXN, FIND_COORDINATOR, PRODUCE, startProxiedKafka, type Proxy } from '../fixtures/kafka-proxy.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)
const TOPICS = [
  'fence',
  'fence-ours',
  'stale',
  'aborted',
  'aborted-ours',
  'reuse',
  'reuse-ours',
  'zombie',
  'crash',
  'range',
  'range-ours',
]

let broker: TestKafka
let proxy: Proxy
let kafka: Kafka
let brokers: string

beforeAll(async () => {
  ;({ broker, proxy } = await startProxiedKafka())
  brokers = `127.0.0.1:${proxy.port}`
  kafka = connectKafka(loadConfig({ KAFKA_BROKERS: brokers }), pino({ level: 'silent' }))
  const admin = await kafka.admin()
  await admin.ensureTopics(TOPICS.map((name) => ({ name, partitions: 1, configs: {} })))
  await admin.close()
})
afterEach(() => proxy.decide(null))
afterAll(async () => {
  await proxy?.stop()
  await broker?.stop()
})

const owner = (transactionalId: string): Promise<TransactionalProducer> =>
  kafka.transactionalProducer({ transactionalId, transactionTimeoutMs: 10_000 })

function batch(topic: string, values: readonly string[]): OutgoingBatch[] {
  const records = new RecordBatchBuilder()
  for (const value of values) records.add(Buffer.alloc(4), Buffer.from(value))
  return [{ topic, partition: 0, records }]
}

const valuesOf = async (topic: string): Promise<string[]> =>
  (await readTopic(kafka, topic))[0].map(({ value }) => value!.toString())

async function fill(topic: string, count: number): Promise<void> {
  const producer = await kafka.producer()
  await producer.send(
    batch(
      topic,
      Array.from({ length: count }, (_, i) => String(i)),
    ),
  )
  await producer.close()
}

async function committedOffset(group: string, topic: string): Promise<number | undefined> {
  const admin = await kafka.admin()
  const [committed] = await admin.committedOffsets(group, topic)
  await admin.close()
  return committed?.offset
}

const FENCED = /PRODUCER_FENCED|INVALID_PRODUCER_EPOCH/

describe('danger 1: connecting does not fence', () => {
  it('the bare client lets the old owner commit after the new one has connected', async () => {
    expect(await bare('danger-fence', { brokers, topic: 'fence' })).toEqual({ committed: true })
  })

  it('after our fence() the old owner cannot commit', async () => {
    const old = await owner('fence')
    const transaction = await old.begin()
    await transaction.send(batch('fence-ours', ['of the old owner']))
    const successor = await owner('fence')
    await successor.fence()
    await expect(transaction.commit()).rejects.toMatchObject({ code: expect.stringMatching(FENCED) })
    expect(await valuesOf('fence-ours')).toEqual([])
    await Promise.all([old.close(), successor.close()])
  })
})

describe('danger 2: a member’s own start offset may be stale', () => {
  it('the bare consumer begins at 5 while 15 is being committed', async () => {
    await fill('stale', 20)
    expect(await bare('danger-stale-offset', { brokers, topic: 'stale', group: 'bare-stale' })).toEqual({
      began: 5,
      committed: 15,
    })
  })

  it('the offset that is read after our fence() is final', async () => {
    const old = await owner('stale')
    const first = await old.begin()
    await first.sendOffsets('stale', [{ topic: 'stale', partition: 0, offset: 5, metadata: 'five' }])
    await first.commit()
    const pending = await old.begin()
    await pending.sendOffsets('stale', [{ topic: 'stale', partition: 0, offset: 15, metadata: 'fifteen' }])
    const successor = await owner('stale')
    await successor.fence()
    expect(await committedOffset('stale', 'stale')).toBe(5)
    await expect(pending.commit()).rejects.toMatchObject({ code: expect.stringMatching(FENCED) })
    expect(await committedOffset('stale', 'stale')).toBe(5)
    await Promise.all([old.close(), successor.close()])
  })
})

describe(`danger 3: aborted records are shown when two transactional producers write one partition (FAULT_SEED=${SEED})`, () => {
  const random = xoroshiro128plus(SEED)
  const rounds = Array.from({ length: 25 }, () => [uniformInt(random, 0, 1) === 1, uniformInt(random, 0, 1) === 1])

  it('the bare read_committed consumer shows some', async () => {
    const { committed, seen } = await bare<{ committed: number; seen: { committed: number; aborted: number } }>(
      'danger-aborted',
      { brokers, topic: 'aborted', rounds },
    )
    expect(seen.aborted).toBeGreaterThan(0)
    // The same log, read through our port.
    const values = await valuesOf('aborted')
    expect(values.filter((value) => value === 'aborted')).toEqual([])
    expect(values.filter((value) => value === 'committed')).toHaveLength(committed)
  })

  it('our group consumer shows none, and all that was committed', async () => {
    const [one, two] = await Promise.all([owner('aborted-one'), owner('aborted-two')])
    let committed = 0
    for (const [first, second] of rounds) {
      const transactions = [await one.begin(), await two.begin()]
      for (const i of [1, 0, 1, 0])
        await transactions[i].send(batch('aborted-ours', [[first, second][i] ? 'committed' : 'aborted']))
      for (const i of [0, 1]) await ([first, second][i] ? transactions[i].commit() : transactions[i].abort())
      committed += 2 * (Number(first) + Number(second))
    }
    await Promise.all([one.close(), two.close()])
    await fill('aborted-ours', 1)
    const seen = await consumeUntil('aborted-ours', '0')
    expect(seen.filter((value) => value === 'aborted')).toEqual([])
    expect(seen.filter((value) => value === 'committed')).toHaveLength(committed)
  })
})

describe('danger 4: a producer that is used again after a failed send', () => {
  it('the bare client commits the delayed old record in place of the new one, and reports success', async () => {
    let transactions = 0
    proxy.decide(async (apiKey) => {
      if (apiKey === END_TXN) transactions += 1
      if (apiKey !== PRODUCE) return 'pass'
      // All tries of the second transaction's send are delayed until the third one sends.
      if (transactions === 1) return 'delay'
      if (transactions === 2) await proxy.release()
      return 'pass'
    })
    const before = proxy.fired(PRODUCE)
    expect(await bare('danger-reuse', { brokers, topic: 'reuse' })).toEqual({ failed: true, succeeded: true })
    expect(proxy.fired(PRODUCE)).toBeGreaterThan(before)
    expect(await valuesOf('reuse')).toEqual(['warm', 'old'])
  })

  it('a new producer of the same id, fenced in, makes the delayed request void', async () => {
    const first = await owner('reuse')
    const warm = await first.begin()
    await warm.send(batch('reuse-ours', ['warm']))
    await warm.commit()
    const failing = await first.begin()
    proxy.decide((apiKey) => (apiKey === PRODUCE ? 'delay' : 'pass'))
    await expect(failing.send(batch('reuse-ours', ['old']))).rejects.toThrow()
    expect(proxy.fired(PRODUCE)).toBeGreaterThan(0)
    proxy.decide(null)
    await first.close()
    const second = await owner('reuse')
    await second.fence()
    const next = await second.begin()
    await proxy.release()
    await next.send(batch('reuse-ours', ['new']))
    await next.commit()
    await second.close()
    expect(await valuesOf('reuse-ours')).toEqual(['warm', 'new'])
  })
})

describe('danger 5: a zombie that acquires at once fences the rightful owner', () => {
  it('happens when a failed owner fences again without being confirmed by the group', async () => {
    const zombie = await owner('zombie')
    const old = await zombie.begin()
    await old.send(batch('zombie', ['zombie']))
    const rightful = await owner('zombie')
    await rightful.fence()
    const transaction = await rightful.begin()
    await transaction.send(batch('zombie', ['rightful']))
    await expect(old.commit()).rejects.toMatchObject({ code: expect.stringMatching(FENCED) })
    const again = await owner('zombie')
    await again.fence()
    await expect(transaction.commit()).rejects.toMatchObject({ code: expect.stringMatching(FENCED) })
    expect(await valuesOf('zombie')).toEqual([])
    await Promise.all([zombie.close(), rightful.close(), again.close()])
  })
})

describe('danger 6: a consumer that ends for good', () => {
  it('the bare consumer crashes without a restart when FindCoordinator is lost in a rebalance', async () => {
    const before = proxy.fired(FIND_COORDINATOR)
    let asked = 0
    proxy.decide((apiKey) => {
      if (apiKey !== FIND_COORDINATOR) return 'pass'
      asked += 1
      // The first of each member is asked when it joins; the next is the first member's rejoin.
      return asked > 2 && asked <= 6 ? 'cut' : 'pass'
    })
    const { crash } = await bare<{ crash: { restart: boolean } | null }>('danger-crash', {
      brokers,
      topic: 'crash',
      group: 'bare-crash',
    })
    expect(proxy.fired(FIND_COORDINATOR)).toBeGreaterThan(before)
    expect(crash).toMatchObject({ restart: false })
  })
})

describe('danger 7: OFFSET_OUT_OF_RANGE', () => {
  it('the bare consumer silently continues after the hole, and commits an offset that is none', async () => {
    await fill('range', 20)
    const { began, crashed, committed } = await bare<{ began: number; crashed: boolean; committed: string[] }>(
      'danger-range',
      { brokers, topic: 'range', group: 'bare-range' },
    )
    expect({ began, crashed }).toEqual({ began: 10, crashed: false })
    expect(committed.some((offset) => Number(offset) < 0)).toBe(true)
  })

  it('our consumer ends with the place, and the group’s offset stays', async () => {
    await fill('range-ours', 20)
    const old = await owner('range')
    const transaction = await old.begin()
    await transaction.sendOffsets('range-ours', [{ topic: 'range-ours', partition: 0, offset: 5, metadata: '' }])
    await transaction.commit()
    await old.close()
    await bare('admin', {
      brokers,
      deleteRecords: { topic: 'range-ours', partitions: [{ partition: 0, offset: '10' }] },
    })
    const consumer = consumerOf('range-ours')
    const error = await new Promise<Error>((resolve, reject) => {
      const onAssigned = (): void => {
        consumer.seek({ topic: 'range-ours', partition: 0 }, 5)
        consumer.resume({ topic: 'range-ours', partition: 0 })
      }
      consumer
        .run({ onAssigned, onBatch: async () => reject(new Error('a batch came')), onCrash: resolve })
        .catch(reject)
    })
    expect(error).toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' })
    expect(error.message).toContain('range-ours/0')
    expect(await committedOffset('range-ours', 'range-ours')).toBe(5)
    await consumer.close()
  })
})

const consumerOf = (topic: string) =>
  kafka.groupConsumer({
    group: topic,
    topics: [topic],
    maxWaitMs: 100,
    minBytes: 1,
    maxBytesPerPartition: 1_048_576,
    sessionTimeoutMs: 6_000,
    assignment: 'shared',
  })

/** Values of a topic's only partition, read by a member of a group, up to and without `last`. */
async function consumeUntil(topic: string, last: string): Promise<string[]> {
  const consumer = consumerOf(topic)
  const values: string[] = []
  let done = false
  await consumer.run({
    onAssigned: () => {
      consumer.seek({ topic, partition: 0 }, 0)
      consumer.resume({ topic, partition: 0 })
    },
    onBatch: async ({ batches }) => {
      for (const batch of batches) for (let i = 0; i < batch.count; i += 1) values.push(batch.value(i)!.toString())
      done ||= values.includes(last)
    },
    onCrash: (error) => {
      throw error
    },
  })
  while (!done) await delay(50)
  await consumer.close()
  return values
}
