// The sequencer under kills, on a real broker: whatever happens to its processes, the order must be gapless, hold every
// extent once and keep the order of each partition. Another load: FAULT_SEED=….
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../platform/clock.ts'
import type { View } from '../../platform/membership/cluster-state.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { FramedDecoder } from '../../platform/codec/framed-decoder.ts'
import { EXTENTS, ORDER, VIEWS } from '../../schemas/topics.ts'
import type { Extent } from '../../stream-jobs/sequencer/core/sequence.ts'
import { acquireSequencer } from '../../stream-jobs/sequencer/runtime/acquire.ts'
import { SEQUENCER_TOPICS } from '../../stream-jobs/sequencer/runtime/service.ts'
import type { Sequencer } from '../../stream-jobs/sequencer/runtime/sequencer.ts'
import { bare } from '../fixtures/bare.ts'
import { makeLoad } from '../fixtures/load.ts'
import { ordered, orderProblems, QUICK_MEMBERS, readOrder, readViews, viewWith } from '../fixtures/order.ts'
import { until } from '../fixtures/metric.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { feed, QUICK, schemasOf, settled, type Stack, startStack } from '../fixtures/refine.ts'

const SEED = Number(process.env.FAULT_SEED ?? 1)
const STEPS = ['begun', 'order-sent', 'view-sent', 'offset-sent', 'committed'] as const
const ACTIVE = 'this is the active sequencer'
const IN_DOUBT = 'a transaction of the order is in doubt'
const KILLED = 128 + 9
const KILLS = 5

let stack: Stack

beforeAll(async () => {
  stack = await startStack(3)
})
afterAll(() => stack?.stop())

const load = (prefix: string, readingsPerSensor: number) =>
  makeLoad({
    seed: SEED,
    sensors: 12,
    readingsPerSensor,
    schemaId: stack.readingId,
    startMs: Date.now() - 600_000,
    prefix,
  })

/** Extents as they come: refine continues while sequencers are killed. */
async function feedUntil(end: AbortSignal, prefix: string): Promise<void> {
  for (let round = 0; !end.aborted; round += 1) await feed(stack, load(`${prefix}${round}-`, 20))
}

describe(`the sequencer killed at each step of its commit protocol (FAULT_SEED=${SEED})`, () => {
  let refine: ServiceProcess

  const start = (step?: string, more: Record<string, string> = {}): Promise<ServiceProcess> =>
    stack.processes.start({
      main: 'test/faults/sequencer-entry.ts',
      env: stack.env({
        ...QUICK_MEMBERS,
        MEMBER_ID: `entry-${step ?? 'last'}`,
        LOG_LEVEL: 'info',
        ...(step === undefined ? {} : { CRASH_STEP: step, CRASH_AFTER: step === 'view-sent' ? '0' : '3' }),
        ...more,
      }),
      ready: { output: 'sequencer starts' },
    })

  beforeAll(async () => {
    // Refine alone: no other sequencer takes over.
    refine = await stack.processes.start({
      main: 'test/faults/refine-entry.ts',
      env: stack.env(QUICK),
      ready: { output: 'owned and restored' },
    })
  })

  it.each(STEPS)('dies at "%s"', async (step) => {
    const end = new AbortController()
    const feeding = feedUntil(end.signal, `${step}-`)
    const entry = await start(step)
    expect(await entry.exited, entry.output()).toBe(KILLED)
    end.abort()
    await feeding
  })

  it('DS-1 DS-2: the order is gapless and holds every extent once, and view ids have grown by one', async () => {
    const last = await start()
    await settled(stack)
    await ordered(stack)
    expect(await orderProblems(stack)).toEqual([])
    const views = await readViews(stack)
    expect(views.map(({ view_id }) => view_id)).toEqual(views.map((_, i) => i + 1))
    expect(await last.stop(), last.output()).toBe(0)
  })

  it('DS-2: one that is frozen in the middle of a transaction is fenced when it continues, and fences nobody', async () => {
    const end = new AbortController()
    const feeding = feedUntil(end.signal, 'frozen-')
    const zombie = await start('order-sent', { CRASH_SIGNAL: 'SIGSTOP', MEMBER_ID: 'zombie' })
    await viewWith(stack, 'the zombie leads', ({ leader }) => leader === 'zombie')
    const successor = await start(undefined, { MEMBER_ID: 'successor' })
    await viewWith(stack, 'the successor leads', ({ leader }) => leader === 'successor')
    expect(zombie.output(), 'it hung in the middle, so its transaction cannot have failed yet').not.toContain(IN_DOUBT)
    zombie.thaw()
    while (!zombie.output().includes(IN_DOUBT)) await feed(stack, load('thawed-', 5))
    end.abort()
    await feeding
    await settled(stack)
    await ordered(stack)
    expect(await orderProblems(stack)).toEqual([])
    expect((await readViews(stack)).at(-1)!.leader).toBe('successor')
    expect(successor.output()).not.toContain(IN_DOUBT)
    expect(await Promise.all([zombie.stop(), successor.stop(), refine.stop()])).toEqual([0, 0, 0])
  })
})

describe('the leader among stream jobs', () => {
  const running = new Map<string, ServiceProcess>()
  let started = 0

  async function start(): Promise<void> {
    started += 1
    const name = `jobs-${started}`
    running.set(name, await stack.startRefine({ ...QUICK_MEMBERS, REFINE_SESSION_MS: '1500', MEMBER_ID: name }))
  }

  const led = () => viewWith(stack, 'a running process leads', ({ leader }) => running.has(leader))

  it(`DS-2 DS-5: the leader is killed ${KILLS} times in a row under load: no gap, no repeat, a new leader in the view`, async () => {
    await Promise.all([start(), start(), start()])
    const end = new AbortController()
    const feeding = feedUntil(end.signal, 'kills-')
    const leaders = new Set<string>()
    const starting: Promise<void>[] = []
    for (let kills = 0; kills < KILLS; kills += 1) {
      const { leader } = await led()
      expect(running.get(leader)!.output()).toContain(ACTIVE)
      leaders.add(leader)
      await running.get(leader)!.kill()
      running.delete(leader)
      starting.push(start())
      await led()
    }
    await Promise.all(starting)
    end.abort()
    await feeding
    expect(leaders.size).toBe(KILLS)
    await settled(stack)
    await ordered(stack)
    expect(await orderProblems(stack)).toEqual([])
    const views = await readViews(stack)
    expect(views.map(({ view_id }) => view_id)).toEqual(views.map((_, i) => i + 1))
  })

  it('DS-5: one that does not lead is killed: the view changes once, and the order continues under the same leader', async () => {
    const before = await viewWith(
      stack,
      'all who run and nobody else are in the view',
      ({ members }) =>
        [...running.keys()].sort().join() ===
        members
          .map(({ node_id }) => node_id)
          .sort()
          .join(),
    )
    const [victim] = [...running.keys()].filter((name) => name !== before.leader)
    await running.get(victim)!.kill()
    running.delete(victim)
    const feeding = feed(stack, load('other-', 60))
    const after = await viewWith(stack, 'the killed one is out of the view', ({ members }) =>
      members.every(({ node_id }) => node_id !== victim),
    )
    await feeding
    await settled(stack)
    await ordered(stack)
    expect(after).toMatchObject({ view_id: before.view_id + 1, leader: before.leader })
    expect(after.members).toEqual(before.members.filter(({ node_id }) => node_id !== victim))
    expect(await orderProblems(stack)).toEqual([])
    expect(running.get(before.leader)!.output()).not.toContain(IN_DOUBT)
    expect((await readViews(stack)).at(-1)!.view_id, 'nothing but the one has changed').toBe(after.view_id)
  })

  it('an aborted transaction at the end of an idle partition is passed: retention may take it', async () => {
    const isPassed = async (): Promise<boolean> => {
      const committed = await stack.admin.committedOffsets('sequencer', EXTENTS)
      const ranges = await stack.admin.offsetRanges(EXTENTS)
      return ranges.every(({ end }, partition) => committed[partition]?.offset === end)
    }
    // As a refine leaves it that is killed in the middle of its transaction and never comes back.
    const producer = await stack.kafka.transactionalProducer({
      transactionalId: 'killed',
      transactionTimeoutMs: 10_000,
    })
    const transaction = await producer.begin()
    const records = new RecordBatchBuilder()
    records.add(Buffer.from('0'), Buffer.from('aborted'))
    const [first] = await transaction.send([{ topic: EXTENTS, partition: 0, records }])
    await transaction.abort()
    await producer.close()
    // An abort is answered before its marker is written.
    await until(async () => (await stack.admin.offsetRanges(EXTENTS))[0].end > first, 'the abort is seen')
    await until(isPassed, 'the offsets are those of the ends')
    expect(await orderProblems(stack)).toEqual([])
    expect(await Promise.all([...running.values()].map((service) => service.stop()))).not.toContain(1)
  })
})

describe('what the active sequencer begins from', () => {
  async function acquired<T>(look: (sequencer: Sequencer) => T | Promise<T>, group = 'sequencer'): Promise<T> {
    const reader = await stack.kafka.rangeReader()
    const sequencer = await acquireSequencer({
      kafka: stack.kafka,
      admin: stack.admin,
      reader,
      clock: systemClock,
      log: pino({ level: 'silent' }),
      settings: {
        group,
        topics: SEQUENCER_TOPICS,
        orderSchemaId: stack.schemaIds.get(ORDER)!,
        viewSchemaId: stack.schemaIds.get(VIEWS)!,
      },
      transactionTimeoutMs: 10_000,
      extents: new FramedDecoder<Extent>('extent', schemasOf(stack)),
      views: new FramedDecoder<View>('view', schemasOf(stack)),
      onCommit: () => undefined,
    }).finally(() => reader.close())
    try {
      return await look(sequencer)
    } finally {
      await sequencer.close()
    }
  }

  it('DS-2: the next sequence is behind the last of the order, and the last view is found behind many tombstones', async () => {
    const last = (await readOrder(stack)).at(-1)!
    const view = (await readViews(stack)).at(-1)!
    const producer = await stack.kafka.producer()
    const records = new RecordBatchBuilder()
    for (let i = 0; i < 300; i += 1) records.add(Buffer.from('1'), null)
    await producer.send([{ topic: VIEWS, partition: 0, records }])
    await producer.close()
    await acquired(({ sequence, lastView }) => {
      expect(sequence.next).toBe(last.base_sequence + last.count)
      expect(lastView).toMatchObject({ view_id: view.view_id, leader: view.leader })
    })
  })

  it('DS-1: `plumbline topics tail` shows the order decoded', async () => {
    const last = (await readOrder(stack)).at(-1)!
    const { stdout } = await promisify(execFile)('bin/plumbline', ['topics', 'tail', ORDER, '-n', '1', '--json'], {
      env: { ...stack.env(), PATH: process.env.PATH },
    })
    expect((JSON.parse(stdout) as { value: unknown }).value).toEqual({ ...last })
  })

  it('stops when the order is not empty but the group has no offset: readings would be numbered twice', async () => {
    const refused = acquired(() => undefined, 'another-group')
    await expect(refused).rejects.toMatchObject({ code: 'ORDER_WITHOUT_OFFSET' })
    await expect(refused).rejects.toThrow(/is not empty but the group another-group has no committed offset/)
  })

  it('stops when extents are gone that are not in the order', async () => {
    const ends = await stack.admin.offsetRanges(EXTENTS)
    const producer = await stack.kafka.producer()
    const records = new RecordBatchBuilder()
    records.add(Buffer.from('0'), Buffer.from('never read'))
    await producer.send([{ topic: EXTENTS, partition: 0, records }])
    await producer.close()
    const partitions = [{ partition: 0, offset: String(ends[0].end + 1) }]
    await bare('admin', { brokers: stack.broker.brokers, deleteRecords: { topic: EXTENTS, partitions } })
    await expect(acquired(() => undefined)).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE', partition: 0 })
  })
})
