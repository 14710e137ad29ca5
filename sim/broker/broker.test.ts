// What the simulated broker can do beyond the port's contract: random and scripted faults, processes that are killed
// or frozen, restarts, compaction; and that a run is the same every time.
import { describe, expect, test } from 'vitest'
import {
  batchOf,
  codeOfRejection,
  recordsOf,
  type ReadRecord,
} from '../../platform/kafka/port-contract.test-support.ts'
import type { RangeReader } from '../../platform/kafka/port.ts'
import { randomOf, whole } from '../random.ts'
import { AT, fates, GROUP, inSetting, owner, prepared, SimSetting, TOPIC } from './sim-environment.test-support.ts'

const FENCED = 'INVALID_PRODUCER_EPOCH'

async function read(reader: RangeReader, from: number, to: number): Promise<ReadRecord[]> {
  const records: ReadRecord[] = []
  await reader.read(AT, from, to, (fetched) => void records.push(...recordsOf(fetched)))
  return records
}

/** Whether a promise settles within `ms`. */
const settlesWithin = (setting: SimSetting, promise: Promise<unknown>, ms: number): Promise<boolean> =>
  Promise.race([
    promise.then(
      () => true,
      () => true,
    ),
    setting.clock.sleep(ms).then(() => false),
  ])

describe('a fault', () => {
  test(
    'that loses an answer leaves the record written, and a repeated send doubles it',
    inSetting(async ({ broker }, kafka) => {
      const producer = await kafka.producer()
      const fault = broker.script({ when: { call: 'Produce', topic: TOPIC }, then: 'lose-answer' })
      expect(await codeOfRejection(producer.send([batchOf(TOPIC, 0, 'a')]))).toBe('KafkaJSRequestTimeoutError')
      await producer.send([batchOf(TOPIC, 0, 'a')])
      fault.assertFired()
      expect(fates(broker)).toEqual(['0 a committed', '1 a committed'])
    }),
  )

  test(
    'that rejects leaves nothing written',
    inSetting(async ({ broker }, kafka) => {
      const producer = await kafka.producer()
      broker.script({ when: { call: 'Produce', client: 'a' }, then: 'reject', skip: 1 })
      await producer.send([batchOf(TOPIC, 0, 'a')])
      await expect(producer.send([batchOf(TOPIC, 0, 'b')])).rejects.toMatchObject({ retriable: true })
      expect(fates(broker)).toEqual(['0 a committed'])
    }),
  )

  test(
    'that never came fails the test that wants it',
    inSetting(async ({ broker }) => {
      const fault = broker.script({ when: { call: 'EndTxn' }, then: 'reject' })
      expect(() => fault.assertFired()).toThrow('never fired')
    }),
  )

  test(
    'may leave a commit in doubt either way; fencing and the committed offset tell',
    inSetting(async ({ broker }, kafka) => {
      const admin = await kafka.admin()
      const outcomes: unknown[] = []
      for (const then of ['lose-answer', 'reject', 'delay'] as const) {
        const producer = await owner(kafka)
        const transaction = await producer.begin()
        await transaction.sendOffsets(GROUP, [{ ...AT, offset: outcomes.length + 1, metadata: then }])
        broker.script({ when: { call: 'EndTxn' }, then })
        await codeOfRejection(transaction.commit())
        await expect(producer.begin(), 'the client hangs in committing').rejects.toThrow('committing')
        await (await owner(kafka)).fence()
        outcomes.push((await admin.committedOffsets(GROUP, TOPIC))[0]?.metadata)
      }
      expect(outcomes).toEqual(['lose-answer', 'lose-answer', 'lose-answer'])
    }),
  )

  test(
    'that delays a record past its transaction’s end lets nothing of it be written',
    inSetting(async ({ broker, clock }, kafka) => {
      const transaction = await (await owner(kafka)).begin()
      broker.script({ when: { call: 'Produce' }, then: 'delay' })
      await codeOfRejection(transaction.send([batchOf(TOPIC, 0, 'late')]))
      await transaction.abort()
      await clock.sleep(20_000)
      expect(fates(broker)).toEqual([])
      expect(await (await kafka.admin()).offsetRanges(TOPIC)).toEqual([{ start: 0, end: 1 }])
    }),
  )

  test(
    'that delays a record shows in its time where the broker stamps it, and only there',
    inSetting(async ({ broker, clock }, kafka) => {
      const configs = { 'message.timestamp.type': 'LogAppendTime' }
      await (await kafka.admin()).ensureTopics([{ name: 'stamped', partitions: 1, configs }])
      const producer = await kafka.producer()
      const sentAt = clock.now()
      for (const topic of [TOPIC, 'stamped']) broker.script({ when: { call: 'Produce', topic }, then: 'delay' })
      const sends = [TOPIC, 'stamped'].map((topic) => producer.send([batchOf(topic, 0, 'late')]))
      await Promise.all(sends.map(codeOfRejection))
      await clock.sleep(20_000)
      expect(broker.dump(TOPIC)[0].timestampMs).toBe(sentAt)
      expect(broker.dump('stamped')[0].timestampMs).toBeGreaterThan(sentAt)
    }),
  )

  test(
    'that delays a record lets it stand in for a new one when the producer is used again, but not behind a fence',
    inSetting(async (setting, kafka) => {
      const { broker } = setting
      const producer = await owner(kafka)
      await producer.fence()
      const first = await producer.begin()
      broker.script({ when: { call: 'Produce' }, then: 'delay' })
      await codeOfRejection(first.send([batchOf(TOPIC, 0, 'old')]))
      await first.abort()
      const second = await producer.begin()
      // The partition is in the new transaction when the old request arrives; then the new one counts as repeated.
      broker.script({ when: { call: 'Produce' }, then: 'reject' })
      await codeOfRejection(second.send([batchOf(TOPIC, 0, 'new')]))
      await setting.clock.sleep(9_000)
      expect(await second.send([batchOf(TOPIC, 0, 'new')])).toEqual([1])
      await second.commit()
      await setting.clock.sleep(100)
      expect(fates(broker)).toEqual(['1 old committed'])

      broker.script({ when: { call: 'Produce' }, then: 'delay' })
      await codeOfRejection((await producer.begin()).send([batchOf(TOPIC, 0, 'late')]))
      const next = await owner(kafka)
      await next.fence()
      const third = await next.begin()
      await third.send([batchOf(TOPIC, 0, 'right')])
      await setting.clock.sleep(9_000)
      await third.commit()
      await setting.clock.sleep(100)
      expect(fates(broker).filter((fate) => !fate.includes('old'))).toEqual([expect.stringMatching(/right committed$/)])
    }),
  )
})

describe('a process', () => {
  test(
    'that is killed is never answered; its transaction ends by the next owner’s fence',
    inSetting(async (setting, kafka) => {
      const { broker } = setting
      const transaction = await (await owner(kafka)).begin()
      await transaction.send([batchOf(TOPIC, 0, 'a')])
      broker.disconnect('a')
      expect(await settlesWithin(setting, transaction.commit(), 5_000)).toBe(false)
      expect(fates(broker)).toEqual(['0 a open'])
      await (await owner(broker.kafka('b'))).fence()
      expect(fates(broker)).toEqual(['0 a aborted'])
      expect(await settlesWithin(setting, broker.kafka('a').admin(), 5_000), 'its next life').toBe(true)
    }),
  )

  test(
    'that is killed when its commit leaves has committed all the same',
    inSetting(async (setting, kafka) => {
      const { broker } = setting
      const transaction = await (await owner(kafka)).begin()
      await transaction.send([batchOf(TOPIC, 0, 'a')])
      broker.script({
        when: { call: 'EndTxn' },
        then: 'lose-answer',
        onFire: () => void setting.clock.sleep(0.01).then(() => broker.disconnect('a')),
      })
      expect(await settlesWithin(setting, transaction.commit(), 20_000)).toBe(false)
      expect(fates(broker)).toEqual(['0 a committed'])
    }),
  )

  test(
    'that is frozen loses its partitions, wakes up as a zombie and is refused',
    inSetting(async (setting, kafka) => {
      const { broker, clock } = setting
      const producer = await owner(kafka)
      const zombie = await producer.begin()
      await zombie.send([batchOf(TOPIC, 0, 'old')])
      broker.freeze('a')
      const committing = zombie.commit()
      await (await owner(broker.kafka('b'))).fence()
      await clock.sleep(1_000)
      broker.unfreeze('a')
      expect(await codeOfRejection(committing)).toBe(FENCED)
      expect(fates(broker)).toEqual(['0 old aborted'])
    }),
  )
})

describe('the committed offset', () => {
  test('of a commit that is under way is the old one, until a fence has waited for it', async () => {
    const setting = new SimSetting(3, { markerMsMax: 2_000 })
    await setting.run(async () => {
      const kafka = await prepared(setting.broker)
      const admin = await kafka.admin()
      let stale = 0
      for (let offset = 1; offset <= 10; offset += 1) {
        const producer = await owner(kafka)
        await producer.fence()
        const transaction = await producer.begin()
        await transaction.sendOffsets(GROUP, [{ ...AT, offset, metadata: '' }])
        await transaction.commit()
        const [before] = await admin.committedOffsets(GROUP, TOPIC)
        if (before?.offset !== offset) stale += 1
        await (await owner(kafka)).fence()
        expect((await admin.committedOffsets(GROUP, TOPIC))[0]?.offset).toBe(offset)
      }
      expect(stale).toBeGreaterThan(5)
    })
  })
})

describe('cleaning', () => {
  test(
    'keeps the last committed record of each key at its offset, and reads pass over what is gone',
    inSetting(async ({ broker, clock }, kafka) => {
      const producer = await owner(kafka)
      const end = async (how: 'commit' | 'abort', value: string): Promise<void> => {
        const transaction = await producer.begin()
        await transaction.send([batchOf(TOPIC, 0, value)])
        await transaction[how]()
      }
      await end('commit', 'a')
      await end('commit', 'b')
      await end('abort', 'c')
      await (await kafka.producer()).send([batchOf(TOPIC, 0, 'd', 'e')])
      await end('abort', 'f')
      await clock.sleep(100)
      broker.compact(TOPIC)
      expect(fates(broker)).toEqual(['7 e committed'])
      expect(await read(await kafka.rangeReader(), 0, 10)).toEqual([{ offset: 7, value: 'e' }])
    }),
  )

  test(
    'by retention puts what is below out of range',
    inSetting(async ({ broker }, kafka) => {
      await (await kafka.producer()).send([batchOf(TOPIC, 0, 'a', 'b', 'c')])
      broker.removeBefore(TOPIC, 0, 2)
      const reader = await kafka.rangeReader()
      expect(await codeOfRejection(read(reader, 1, 3))).toBe('OFFSET_OUT_OF_RANGE')
      expect(await read(reader, 2, 3)).toEqual([{ offset: 2, value: 'c' }])
      expect(await (await kafka.admin()).offsetRanges(TOPIC)).toEqual([{ start: 2, end: 3 }])
    }),
  )
})

describe('a run', () => {
  /** Two processes that write for a while, with faults, kills and a restart; returns everything left behind. */
  async function story(seed: number): Promise<string> {
    const setting = new SimSetting(seed, { loseAnswer: 0.05, reject: 0.05, delay: 0.05 })
    const { broker, clock } = setting
    const random = randomOf(seed, 'story')
    const told: unknown[] = []
    await setting.run(async () => {
      await prepared(broker, 2)
      const write = async (client: string): Promise<void> => {
        for (let i = 0; i < 20; i += 1) {
          try {
            const transaction = await (await owner(broker.kafka(client), client)).begin()
            await transaction.send([batchOf(TOPIC, whole(random, 0, 1), `${client}${i}`)])
            await transaction.commit()
            told.push([client, i, clock.mono()])
          } catch (error) {
            told.push([client, i, (error as { code: string }).code])
          }
        }
      }
      await Promise.all([write('a'), write('b'), clock.sleep(50).then(() => broker.restart(500))])
      await clock.sleep(20_000)
    })
    return JSON.stringify([told, broker.dump(TOPIC), clock.events])
  }

  test('is the same for the same seed, to the byte, and another one for another', async () => {
    const runs = await Promise.all([1, 2, 3].map(async (seed) => [await story(seed), await story(seed)]))
    for (const [first, second] of runs) expect(second).toBe(first)
    expect(new Set(runs.map(([first]) => first)).size).toBe(3)
  })

  test('never shows an acknowledged commit as lost, nor a refused one as written twice', async () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const [told, records] = JSON.parse(await story(seed)) as [
        [string, number, number | string][],
        { value: { data: number[] }; fate: string }[],
      ]
      const written = records
        .filter(({ fate }) => fate === 'committed')
        .map(({ value }) => Buffer.from(value.data).toString())
      expect(new Set(written).size, `seed ${seed}`).toBe(written.length)
      const acknowledged = told.filter(([, , at]) => typeof at === 'number').map(([client, i]) => `${client}${i}`)
      expect(acknowledged.filter((value) => !written.includes(value))).toEqual([])
    }
  })
})
