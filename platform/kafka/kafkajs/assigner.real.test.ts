// The one-owner groups on a real broker: members that join, leave and fall silent.
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startTestKafka, type TestKafka } from '../../../test/fixtures/kafka.ts'
import { loadConfig } from '../../config.ts'
import { connectKafka } from './client.ts'
import type { GroupConsumer } from '../port.ts'

const TOPIC = 'owned'
const PARTITIONS = 3

let broker: TestKafka
const members: GroupConsumer[] = []

beforeAll(async () => {
  broker = await startTestKafka()
  const admin = await connect().admin()
  await admin.ensureTopics([{ name: TOPIC, partitions: PARTITIONS, configs: {} }])
  await admin.close()
})
afterAll(async () => {
  await Promise.allSettled(members.map((member) => member.close()))
  await broker?.stop()
})

const connect = () => connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' }))

interface Observed {
  readonly consumer: GroupConsumer
  /** How many partitions it was given at each rearrangement. */
  readonly given: number[]
  owns(): boolean
}

async function join(claim: () => number): Promise<Observed> {
  const consumer = connect().groupConsumer({
    group: 'owners',
    topics: [TOPIC],
    maxWaitMs: 50,
    minBytes: 1,
    maxBytesPerPartition: 1_024,
    sessionTimeoutMs: 1_500,
    assignment: { claim },
  })
  members.push(consumer)
  const given: number[] = []
  await consumer.run({
    onAssigned: (partitions) => void given.push(partitions.length),
    onBatch: () => Promise.resolve(),
    onCrash: () => undefined,
  })
  return { consumer, given, owns: () => given.at(-1) === PARTITIONS }
}

/** Until all have been told of the same number of rearrangements and nothing moves any more. */
async function settledOn(owner: Observed, others: readonly Observed[]): Promise<void> {
  for (let tries = 0; tries < 300; tries += 1) {
    if (owner.owns() && others.every(({ given }) => given.at(-1) === 0)) return
    await delay(50)
  }
  throw new Error(`not one owner: ${JSON.stringify([owner, ...others].map(({ given }) => given))}`)
}

describe('DS-2: one owner on a real broker', () => {
  it('keeps all partitions while others come and go, hands them over when it leaves, and takes none back by coming late', async () => {
    const first = await join(() => 5)
    await settledOn(first, [])
    const second = await join(() => 0)
    const third = await join(() => 3)
    await settledOn(first, [second, third])
    await second.consumer.close()
    const fourth = await join(() => 4)
    await settledOn(first, [third, fourth])
    expect(
      first.given.every((count) => count === PARTITIONS),
      'it kept them all the time',
    ).toBe(true)
    expect([...second.given, ...third.given, ...fourth.given].every((count) => count === 0)).toBe(true)
    await first.consumer.close()
    await settledOn(fourth, [third])
    const late = await join(() => 4 - 1)
    await settledOn(fourth, [third, late])
    expect(third.given.every((count) => count === 0)).toBe(true)
  })
})
