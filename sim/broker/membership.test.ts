// Group members of the simulated broker that are killed, frozen and left behind, and what a broker restart does to all
// of them.
import { describe, expect, test } from 'vitest'
import { batchOf, codeOfRejection } from '../../platform/kafka/port-contract.test-support.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { fates, GROUP, inSetting, prepared, SimSetting, TOPIC } from './sim-environment.test-support.ts'

/** A member that counts its partitions. */
async function member(kafka: Kafka): Promise<{ partitions: number[][]; crashes: Error[] }> {
  const told = { partitions: [] as number[][], crashes: [] as Error[] }
  const consumer = kafka.groupConsumer({
    group: GROUP,
    topics: [TOPIC],
    maxWaitMs: 100,
    minBytes: 1,
    maxBytesPerPartition: 1_000,
    sessionTimeoutMs: 6_000,
    assignment: 'shared',
  })
  await consumer.run({
    onAssigned: (partitions) => void told.partitions.push(partitions.map(({ partition }) => partition)),
    onBatch: async () => undefined,
    onCrash: (error) => void told.crashes.push(error),
  })
  return told
}

describe('a group', () => {
  const partitions = 2

  test(
    'takes the partitions of a killed member when its session has run out',
    inSetting(async ({ broker, clock }, kafka) => {
      await member(kafka)
      const joining = member(broker.kafka('b'))
      await clock.sleep(2_000)
      const other = await joining
      expect(other.partitions.at(-1)).toHaveLength(1)
      broker.disconnect('a')
      await clock.sleep(5_000)
      expect(other.partitions.at(-1)).toHaveLength(1)
      await clock.sleep(3_000)
      expect(other.partitions.at(-1)).toEqual([0, 1])
    }, partitions),
  )

  test(
    'lets a frozen member join again when it wakes up',
    inSetting(async ({ broker, clock }, kafka) => {
      const frozen = await member(kafka)
      broker.freeze('a')
      const joining = member(broker.kafka('b'))
      await clock.sleep(30_000)
      expect((await joining).partitions.at(-1)).toEqual([0, 1])
      broker.unfreeze('a')
      await clock.sleep(10_000)
      expect(frozen.partitions).toEqual([[0, 1], [expect.any(Number)]])
    }, partitions),
  )

  test(
    'comes together again after the broker’s restart, and its data are still there',
    inSetting(async ({ broker, clock }, kafka) => {
      await (await kafka.producer()).send([batchOf(TOPIC, 0, 'a')])
      const told = await member(kafka)
      const before = clock.mono()
      await broker.restart(5_000)
      expect(clock.mono() - before).toBeGreaterThanOrEqual(5_000)
      await clock.sleep(10_000)
      expect(told).toEqual({
        partitions: [
          [0, 1],
          [0, 1],
        ],
        crashes: [],
      })
      expect(fates(broker)).toEqual(['0 a committed'])
    }, partitions),
  )

  test(
    'may lose a member for good when a coordinator cannot be found',
    inSetting(async ({ broker, clock }, kafka) => {
      const told = await member(kafka)
      broker.script({ when: { call: 'JoinGroup', client: 'a' }, then: 'crash' })
      const other = await member(broker.kafka('b'))
      await clock.sleep(1_000)
      expect(told.crashes).toMatchObject([{ name: 'KafkaError', retriable: false }])
      expect(other.partitions.at(-1)).toEqual([0, 1])
    }, partitions),
  )
})

describe('a restart', () => {
  test(
    'is waited out by reads, while a write whose line breaks is in doubt',
    inSetting(async ({ broker, clock }, kafka) => {
      const [admin, producer] = [await kafka.admin(), await kafka.producer()]
      const reading = admin.offsetRanges(TOPIC)
      const writing = producer.send([batchOf(TOPIC, 0, 'a')])
      // Both requests are in flight by now.
      await clock.sleep(0.01)
      const back = broker.restart(1_000)
      expect(await codeOfRejection(writing)).toBe('KafkaJSConnectionClosedError')
      expect(await reading).toEqual([{ start: 0, end: 0 }])
      await back
      expect(clock.mono()).toBeGreaterThanOrEqual(1_000)
      expect(await producer.send([batchOf(TOPIC, 0, 'b')])).toEqual([0])
    }),
  )

  test('that comes between a request and its answer leaves the caller in doubt of what was done', async () => {
    const setting = new SimSetting(1, { latencyMsMin: 100, latencyMsMax: 100 })
    await setting.run(async () => {
      const producer = await (await prepared(setting.broker)).producer()
      const sending = producer.send([batchOf(TOPIC, 0, 'a')])
      await setting.clock.sleep(70)
      await setting.broker.restart(10)
      expect(await codeOfRejection(sending)).toBe('KafkaJSConnectionClosedError')
      expect(fates(setting.broker)).toEqual(['0 a committed'])
    })
  })

  test(
    'that lasts longer than a client’s patience is reported',
    inSetting(async ({ broker }, kafka) => {
      const admin = await kafka.admin()
      const back = broker.restart(60_000)
      await expect(admin.listTopics()).rejects.toMatchObject({ code: 'KafkaJSConnectionError', retriable: true })
      await back
      expect(await admin.listTopics()).toEqual([TOPIC])
    }),
  )
})
