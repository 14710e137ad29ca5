// The port's contract, second part: members of consumer groups. Run against the real broker and against the
// simulator's; where the two disagree the real one is right.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type {
  BatchContext,
  ConsumerHandlers,
  FetchedBatch,
  GroupConsumer,
  GroupConsumerOptions,
  TopicPartition,
} from './port.ts'
import { batchOf, type PortEnvironment, recordsOf, valuesOf, Workbench } from './port-contract.test-support.ts'

const SESSION_MS = 6_000
const MAX_WAIT_MS = 50

/** A member that writes down what it is told. */
class Member {
  readonly consumer: GroupConsumer
  readonly assignments: { partitions: readonly TopicPartition[]; generation: number }[] = []
  readonly batches: FetchedBatch[] = []
  readonly crashes: Error[] = []
  heartbeats = 0
  /** What a test does on assignment; seeking and resuming everything at 0 unless it says otherwise. */
  onAssigned: (partitions: readonly TopicPartition[]) => void = (partitions) => {
    for (const at of partitions) this.begin(at, 0)
  }
  onBatch: (fetched: FetchedBatch, context: BatchContext) => void | Promise<void> = () => undefined

  constructor(consumer: GroupConsumer) {
    this.consumer = consumer
  }

  begin(at: TopicPartition, offset: number): void {
    this.consumer.seek(at, offset)
    this.consumer.resume(at)
  }

  run(): Promise<void> {
    const handlers: ConsumerHandlers = {
      onAssigned: (partitions, generation) => {
        this.assignments.push({ partitions, generation })
        this.onAssigned(partitions)
      },
      onBatch: async (fetched, context) => {
        this.batches.push(fetched)
        await this.onBatch(fetched, context)
      },
      onHeartbeat: () => void (this.heartbeats += 1),
      onCrash: (error) => void this.crashes.push(error),
    }
    return this.consumer.run(handlers)
  }

  get values(): string[] {
    return valuesOf(this.batches)
  }

  /** Numbers of the partitions that it has now. */
  get partitions(): number[] {
    return (this.assignments.at(-1)?.partitions ?? []).map(({ partition }) => partition).sort((a, b) => a - b)
  }
}

export function describeGroups(name: string, makeEnvironment: () => Promise<PortEnvironment>): void {
  describe(`${name}: groups`, () => {
    let env: PortEnvironment
    beforeAll(async () => {
      env = await makeEnvironment()
    })
    afterAll(() => env.close())

    const test = (sentence: string, body: (bench: Workbench) => Promise<void>): void =>
      it(sentence, () =>
        env.run(async () => {
          const bench = new Workbench(env)
          await body(bench).finally(() => bench.close())
        }),
      )

    const memberOf = (bench: Workbench, topic: string, options: Partial<GroupConsumerOptions> = {}): Member => {
      const consumer = env.kafka.groupConsumer({
        group: bench.name('group'),
        topics: [topic],
        maxWaitMs: MAX_WAIT_MS,
        minBytes: 1,
        maxBytesPerPartition: 1_000_000,
        sessionTimeoutMs: SESSION_MS,
        assignment: 'shared',
        ...options,
      })
      return new Member(bench.keep(consumer))
    }

    test('a member is assigned, everything paused, before anything is fetched', async (bench) => {
      const topic = await bench.topic(2)
      await bench.send(batchOf(topic, 0, 'a'), batchOf(topic, 1, 'b'))
      const member = memberOf(bench, topic)
      member.onAssigned = () => undefined
      await member.run()
      await bench.until(() => member.assignments.length > 0)
      expect(member.assignments[0].generation).toBe(1)
      expect(member.partitions).toEqual([0, 1])
      await env.sleep(300)
      expect(member.batches).toEqual([])
      member.begin({ topic, partition: 1 }, 0)
      await bench.until(() => member.values.includes('b'))
      expect(member.values).toEqual(['b'])
    })

    test('reading begins at the offset sought, though it is within a batch', async (bench) => {
      const topic = await bench.topic()
      await bench.send(batchOf(topic, 0, 'a', 'b', 'c'))
      await bench.send(batchOf(topic, 0, 'd'))
      const member = memberOf(bench, topic)
      member.onAssigned = ([at]) => member.begin(at, 2)
      await member.run()
      await bench.until(() => member.values.includes('d'))
      expect(member.batches.flatMap(recordsOf)).toEqual([
        { offset: 2, value: 'c' },
        { offset: 3, value: 'd' },
      ])
      expect(member.batches.at(-1)).toMatchObject({ topic, partition: 0, nextOffset: 4, endOffset: 4 })
    })

    test('without a seek it begins where the group is', async (bench) => {
      const topic = await bench.topic()
      const group = bench.name('group')
      await bench.send(batchOf(topic, 0, 'a', 'b'))
      const transaction = await (await bench.transactional(bench.name('id'))).begin()
      await transaction.sendOffsets(group, [{ topic, partition: 0, offset: 1, metadata: '' }])
      await transaction.commit()
      await bench.until(async () => (await (await bench.admin()).committedOffsets(group, topic))[0] !== null)
      const member = memberOf(bench, topic, { group })
      member.onAssigned = ([at]) => member.consumer.resume(at)
      await member.run()
      await bench.until(() => member.values.length > 0)
      expect(member.values).toEqual(['b'])
    })

    test('markers and aborted records are passed in silence', async (bench) => {
      const topic = await bench.topic()
      const producer = await bench.transactional(bench.name('id'))
      const member = memberOf(bench, topic)
      await member.run()
      await bench.transact(producer, 'commit', batchOf(topic, 0, 'a'))
      await bench.transact(producer, 'abort', batchOf(topic, 0, 'dropped'))
      await bench.transact(producer, 'commit', batchOf(topic, 0, 'b'))
      await bench.until(() => member.values.includes('b'))
      await bench.transact(producer, 'abort', batchOf(topic, 0, 'dropped too'))
      await env.sleep(200)
      await bench.send(batchOf(topic, 0, 'c'))
      await bench.until(() => member.values.includes('c'))
      expect(member.values).toEqual(['a', 'b', 'c'])
      expect(member.batches.every(({ batches }) => batches.length > 0)).toBe(true)
      expect(member.batches.at(-1)!.nextOffset).toBe(9)
    })

    test('an open transaction is not handed over', async (bench) => {
      const topic = await bench.topic()
      const producer = await bench.transactional(bench.name('id'))
      const member = memberOf(bench, topic)
      await member.run()
      const transaction = await producer.begin()
      await transaction.send([batchOf(topic, 0, 'a')])
      await env.sleep(200)
      expect(member.values).toEqual([])
      await transaction.commit()
      await bench.until(() => member.values.includes('a'))
    })

    test('the end of what may be read is in front of an open transaction', async (bench) => {
      const topic = await bench.topic()
      const producer = await bench.transactional(bench.name('id'))
      await bench.send(batchOf(topic, 0, 'a'))
      const transaction = await producer.begin()
      await transaction.send([batchOf(topic, 0, 'b')])
      const member = memberOf(bench, topic)
      await member.run()
      await bench.until(() => member.values.includes('a'))
      expect(member.batches.at(-1)).toMatchObject({ nextOffset: 1, endOffset: 1 })
      await transaction.commit()
      await bench.until(() => member.values.includes('b'))
      expect(member.batches.at(-1)).toMatchObject({ nextOffset: 3, endOffset: 3 })
    })

    test('a paused partition rests, and continues where it stopped when it is resumed', async (bench) => {
      const topic = await bench.topic(2)
      const at = { topic, partition: 0 }
      const member = memberOf(bench, topic)
      await member.run()
      await bench.send(batchOf(topic, 0, 'a'))
      await bench.until(() => member.values.includes('a'))
      member.consumer.pause(at)
      await bench.send(batchOf(topic, 0, 'b'), batchOf(topic, 1, 'other'))
      await bench.until(() => member.values.includes('other'))
      await env.sleep(200)
      expect(member.values).not.toContain('b')
      member.consumer.resume(at)
      await bench.until(() => member.values.includes('b'))
      expect(member.values).toEqual(['a', 'other', 'b'])
    })

    test('a seek makes the batch at hand stale and is where reading continues', async (bench) => {
      const topic = await bench.topic()
      const at = { topic, partition: 0 }
      await bench.send(batchOf(topic, 0, 'a', 'b'))
      const member = memberOf(bench, topic)
      const stale: boolean[] = []
      member.onBatch = (_, context) => {
        stale.push(context.isStale())
        if (member.batches.length > 1) return
        member.consumer.seek(at, 1)
        stale.push(context.isStale())
      }
      await member.run()
      await bench.until(() => member.batches.length > 1)
      expect(stale).toEqual([false, true, false])
      expect(member.values).toEqual(['a', 'b', 'b'])
    })

    test('a batch whose handler fails comes again', async (bench) => {
      const topic = await bench.topic()
      await bench.send(batchOf(topic, 0, 'a'))
      const member = memberOf(bench, topic)
      member.onBatch = () => {
        if (member.batches.length === 1) throw new Error('not this time')
      }
      await member.run()
      await bench.until(() => member.batches.length > 1)
      expect(member.values).toEqual(['a', 'a'])
      expect(member.crashes).toEqual([])
    })

    test('partitions are worked through side by side, each one batch after the other', async (bench) => {
      const topic = await bench.topic(2)
      const member = memberOf(bench, topic)
      const working = new Map<number, number>()
      let together = 0
      let doubled = false
      member.onBatch = async ({ partition }) => {
        const mine = (working.get(partition) ?? 0) + 1
        working.set(partition, mine)
        doubled ||= mine > 1
        if ([...working.values()].every((count) => count > 0)) together = Math.max(together, working.size)
        await env.sleep(60)
        working.set(partition, working.get(partition)! - 1)
      }
      await bench.send(batchOf(topic, 0, 'a'), batchOf(topic, 1, 'b'))
      await member.run()
      await bench.until(() => member.values.length === 2)
      await bench.send(batchOf(topic, 0, 'c'), batchOf(topic, 1, 'd'))
      await bench.until(() => member.values.length === 4)
      expect(together).toBe(2)
      expect(doubled).toBe(false)
    })

    test('a member that is asked for heartbeats sends them, and an idle one does so by itself', async (bench) => {
      const topic = await bench.topic()
      const member = memberOf(bench, topic)
      await member.run()
      await bench.until(() => member.heartbeats >= 1)
    })

    test('commits outside of transactions are the group’s offsets', async (bench) => {
      const topic = await bench.topic()
      const group = bench.name('group')
      await bench.send(batchOf(topic, 0, 'a', 'b'))
      const member = memberOf(bench, topic, { group })
      await member.run()
      await bench.until(() => member.values.length === 2)
      await member.consumer.commit({ topic, partition: 0 }, 2)
      expect(await (await bench.admin()).committedOffsets(group, topic)).toEqual([{ offset: 2, metadata: '' }])
    })

    test('a member that would read what is no longer kept ends, and says why', async (bench) => {
      const topic = await bench.topic()
      await bench.send(batchOf(topic, 0, 'a'))
      const member = memberOf(bench, topic)
      member.onAssigned = ([at]) => member.begin(at, 5)
      await member.run()
      await bench.until(() => member.crashes.length > 0)
      expect(member.crashes).toMatchObject([{ name: 'KafkaError', code: 'OFFSET_OUT_OF_RANGE' }])
    })

    test('two members share the partitions; the one that stays gets those of the one that leaves', async (bench) => {
      const topic = await bench.topic(4)
      const group = bench.name('group')
      const [one, two] = [memberOf(bench, topic, { group }), memberOf(bench, topic, { group })]
      await one.run()
      await bench.until(() => one.partitions.length === 4)
      await two.run()
      await bench.until(() => one.partitions.length === 2 && two.partitions.length === 2)
      expect([...one.partitions, ...two.partitions].sort()).toEqual([0, 1, 2, 3])
      expect(one.assignments.at(-1)!.generation).toBeGreaterThan(1)
      await bench.send(...[0, 1, 2, 3].map((partition) => batchOf(topic, partition, `p${partition}`)))
      await bench.until(() => one.values.length + two.values.length === 4)
      await two.consumer.close()
      await bench.until(() => one.partitions.length === 4)
    })

    test('partitions of one number go to one member, whatever their topic', async (bench) => {
      const topics = [await bench.topic(3), await bench.topic(3)]
      const group = bench.name('group')
      const members = [0, 1].map(() => memberOf(bench, topics[0], { group, topics }))
      await members[0].run()
      await members[1].run()
      const numbers = (member: Member): number[] => [...new Set(member.partitions)]
      await bench.until(
        () =>
          members.every(({ partitions }) => partitions.length > 0) &&
          members.flatMap(({ partitions }) => partitions).length === 6,
      )
      expect(members.flatMap(numbers).sort()).toEqual([0, 1, 2])
    })

    test('a rebalance waits for the batch at hand', async (bench) => {
      const topic = await bench.topic(2)
      const group = bench.name('group')
      await bench.send(batchOf(topic, 0, 'a'))
      const [one, two] = [memberOf(bench, topic, { group }), memberOf(bench, topic, { group })]
      let release = (): void => undefined
      const held = new Promise<void>((resolve) => (release = resolve))
      one.onBatch = () => held
      await one.run()
      await bench.until(() => one.batches.length === 1)
      const joining = two.run()
      await env.sleep(300)
      expect([one.assignments.length, two.assignments.length]).toEqual([1, 0])
      release()
      await joining
      await bench.until(() => one.partitions.length === 1 && two.partitions.length === 1)
    })

    test('with one owner the member with the highest claim has everything, and keeps it as others come', async (bench) => {
      const topic = await bench.topic(3)
      const group = bench.name('group')
      const claims = { one: 0, two: 0 }
      const one = memberOf(bench, topic, { group, assignment: { claim: () => claims.one } })
      const two = memberOf(bench, topic, { group, assignment: { claim: () => claims.two } })
      await one.run()
      await bench.until(() => one.partitions.length === 3)
      claims.one = 7
      await two.run()
      await bench.until(() => one.assignments.length > 1)
      expect(one.partitions).toEqual([0, 1, 2])
      expect(two.partitions).toEqual([])
      await one.consumer.close()
      await bench.until(() => two.partitions.length === 3)
    })
  })
}
