// States of the log in which going on would lose or double data without anybody noticing: refine stops, with a message
// that names the place and says what to do. And a stop by the operator is clean.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RAW } from '../../schemas/topics.ts'
import { bare } from '../fixtures/bare.ts'
import { makeLoad } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'

let stack: Stack

beforeAll(async () => {
  stack = await startStack(2)
})
afterAll(() => stack?.stop())

const load = (prefix: string) =>
  makeLoad({
    seed: 1,
    sensors: 6,
    readingsPerSensor: 50,
    schemaId: stack.readingId,
    startMs: Date.now() - 60_000,
    prefix,
  })
const start = (): Promise<ServiceProcess> =>
  stack.processes.start({
    main: 'stream-jobs/main.ts',
    env: stack.env({ ...QUICK, STREAM_JOBS_PORT: '0' }),
    ready: { output: '"listening"' },
  })

describe('refine stops loudly', () => {
  it('when the group has no offset although there are snapshots', async () => {
    const refine = await stack.startRefine()
    await stack.send(load('a'))
    await settled(stack)
    expect(await refine.stop()).toBe(0)
    const committed = await stack.admin.committedOffsets('refine', RAW)
    await bare('admin', { brokers: stack.broker.brokers, deleteGroup: 'refine' })
    const stopped = await start()
    expect(await stopped.exited).toBe(1)
    expect(stopped.output()).toMatch(/raw partition \d has snapshots but no committed offset/)
    expect(stopped.output()).toMatch(/set the group's offset again, or delete/)
    await restoreOffsets(committed)
  })

  it('when retention has removed what it has not read', async () => {
    await stack.send(load('b'))
    const partitions = (await stack.admin.offsetRanges(RAW)).map(({ end }, partition) => ({
      partition,
      offset: String(end),
    }))
    await bare('admin', { brokers: stack.broker.brokers, deleteRecords: { topic: RAW, partitions } })
    while ((await stack.admin.offsetRanges(RAW)).some(({ start: first }) => first === 0)) await delay(50)
    const stopped = await start()
    expect(await stopped.exited).toBe(1)
    expect(stopped.output()).toMatch(
      /raw partition \d begins at \d+, after the snapshot's offset \d+: retention has removed records/,
    )
  })
})

/** As an operator would who has kept them. */
async function restoreOffsets(committed: Awaited<ReturnType<typeof stack.admin.committedOffsets>>): Promise<void> {
  const producer = await stack.kafka.transactionalProducer({
    transactionalId: 'operator',
    transactionTimeoutMs: 10_000,
  })
  const transaction = await producer.begin()
  for (const [partition, at] of committed.entries())
    if (at !== null) await transaction.sendOffsets('refine', [{ topic: RAW, partition, ...at }])
  await transaction.commit()
  await producer.close()
}
