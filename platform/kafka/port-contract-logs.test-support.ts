// The port's contract, first part: producers, transactions, fencing, offsets, bounded reads and following. Run against
// the real broker and against the simulator's; where the two disagree the real one is right.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FetchedBatch } from './port.ts'
import {
  batchOf,
  builderOf,
  codeOfRejection,
  type PortEnvironment,
  recordsOf,
  valuesOf,
  Workbench,
} from './port-contract.test-support.ts'
import { encodeHeaders, RecordBatchBuilder } from './record-batch/builder.ts'

/** What the coordinator tells a producer whose epoch has passed. */
const FENCED = ['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED']

export function describeLogs(name: string, makeEnvironment: () => Promise<PortEnvironment>): void {
  describe(`${name}: logs`, () => {
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

    describe('sending', () => {
      test('resolves with the first offset of each batch, in the order asked', async (bench) => {
        const topic = await bench.topic(3)
        expect(await bench.send(batchOf(topic, 2, 'a', 'b'))).toEqual([0])
        expect(await bench.send(batchOf(topic, 2, 'c'), batchOf(topic, 0, 'd', 'e'))).toEqual([2, 0])
        expect(await bench.read(topic, 2)).toEqual(['a', 'b', 'c'].map((value, offset) => ({ offset, value })))
        expect(await bench.read(topic, 1)).toEqual([])
      })

      test('hands keys, values, nulls and headers through byte by byte', async (bench) => {
        const topic = await bench.topic()
        const records = new RecordBatchBuilder()
        const headers = [
          { key: 'a', value: Buffer.from([0, 255]) },
          { key: 'b', value: '' },
        ]
        records.add(null, Buffer.from([1, 2, 3]))
        records.add(Buffer.from('key'), null, headers)
        records.append(Buffer.from('xkx'), 1, 1, Buffer.from('v'), 0, 1, encodeHeaders(headers))
        await bench.send({ topic, partition: 0, records })
        const read: unknown[] = []
        await (
          await bench.reader()
        ).read({ topic, partition: 0 }, 0, 3, ({ batches }) => {
          for (const batch of batches)
            for (let i = 0; i < batch.count; i += 1)
              read.push([batch.key(i), batch.value(i), batch.headers(i).map(({ key, value }) => [key, value])])
        })
        const seen = [
          ['a', Buffer.from([0, 255])],
          ['b', Buffer.alloc(0)],
        ]
        expect(read).toEqual([
          [null, Buffer.from([1, 2, 3]), []],
          [Buffer.from('key'), null, seen],
          [Buffer.from('k'), Buffer.from('v'), seen],
        ])
      })

      test('stamps the time of arrival on a topic with LogAppendTime, one for a batch', async (bench) => {
        const topic = await bench.topic(1, { 'message.timestamp.type': 'LogAppendTime' })
        const before = env.now()
        await bench.send(batchOf(topic, 0, 'a', 'b'))
        await env.sleep(30)
        await bench.send(batchOf(topic, 0, 'c'))
        const times: number[] = []
        await (
          await bench.reader()
        ).read({ topic, partition: 0 }, 0, 3, ({ batches }) => {
          for (const batch of batches) for (let i = 0; i < batch.count; i += 1) times.push(batch.timestamp(i))
        })
        expect(times[0]).toBeGreaterThanOrEqual(before - 1)
        expect(times[1]).toBe(times[0])
        expect(times[2]).toBeGreaterThan(times[1])
      })

      test('refuses an empty batch and two batches for one partition, and writes nothing of either', async (bench) => {
        const topic = await bench.topic()
        await expect(bench.send(batchOf(topic, 0))).rejects.toThrow('an empty batch for')
        await expect(bench.send(batchOf(topic, 0, 'a'), batchOf(topic, 0, 'b'))).rejects.toThrow('two batches for')
        expect(await bench.endOf(topic)).toBe(0)
      })

      test('refuses a batch beyond the topic’s limit for good, and continues', async (bench) => {
        const topic = await bench.topic(1, { 'max.message.bytes': '1000' })
        const producer = bench.keep(await env.kafka.producer())
        expect(await codeOfRejection(producer.send([batchOf(topic, 0, 'x'.repeat(1_000))]))).toBe('MESSAGE_TOO_LARGE')
        expect(await producer.send([batchOf(topic, 0, 'small')])).toEqual([0])
      })
    })

    describe('a transaction', () => {
      test('is read by nobody before its commit, and then as a whole', async (bench) => {
        const [one, two] = [await bench.topic(), await bench.topic()]
        const producer = await bench.transactional(bench.name('id'))
        const transaction = await producer.begin()
        await transaction.send([batchOf(one, 0, 'a'), batchOf(two, 0, 'b')])
        expect(await transaction.send([batchOf(one, 0, 'c', 'd')])).toEqual([1])
        expect([await bench.endOf(one), await bench.endOf(two)]).toEqual([0, 0])
        await transaction.commit()
        await bench.untilStable(one, 4)
        await bench.untilStable(two, 2)
        expect((await bench.read(one)).map(({ value }) => value)).toEqual(['a', 'c', 'd'])
        expect((await bench.read(two)).map(({ value }) => value)).toEqual(['b'])
      })

      test('leaves nothing but offsets behind when it is aborted', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        await bench.transact(producer, 'abort', batchOf(topic, 0, 'a', 'b'))
        expect(await bench.transact(producer, 'commit', batchOf(topic, 0, 'c'))).toBe(3)
        await bench.untilStable(topic, 5)
        expect(await bench.read(topic)).toEqual([{ offset: 3, value: 'c' }])
      })

      test('holds back what others write after it', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        await bench.send(batchOf(topic, 0, 'before'))
        const transaction = await producer.begin()
        await transaction.send([batchOf(topic, 0, 'within')])
        await bench.send(batchOf(topic, 0, 'behind'))
        expect(await bench.endOf(topic)).toBe(1)
        await transaction.abort()
        await bench.untilStable(topic, 4)
        expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['before', 'behind'])
      })

      test('cannot be used once it has ended, and only one is open at a time', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        const transaction = await producer.begin()
        await codeOfRejection(producer.begin())
        await transaction.send([batchOf(topic, 0, 'a')])
        await transaction.commit()
        await codeOfRejection(transaction.send([batchOf(topic, 0, 'b')]))
        await codeOfRejection(transaction.abort())
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'c'))
      })

      test('is aborted when its time is up, and its owner is told', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'), 1_000)
        const transaction = await producer.begin()
        await transaction.send([batchOf(topic, 0, 'a')])
        await bench.untilStable(topic, 2)
        expect(FENCED).toContain(await codeOfRejection(transaction.commit()))
        expect(await bench.read(topic)).toEqual([])
      })

      test('of one producer shows through the aborted one of another on the same partition', async (bench) => {
        const topic = await bench.topic()
        const [one, two] = [await bench.transactional(bench.name('id')), await bench.transactional(bench.name('id'))]
        const [first, second] = [await one.begin(), await two.begin()]
        await first.send([batchOf(topic, 0, 'kept')])
        await second.send([batchOf(topic, 0, 'dropped')])
        await first.send([batchOf(topic, 0, 'kept too')])
        await second.abort()
        await bench.transact(two, 'abort', batchOf(topic, 0, 'dropped too'))
        await first.commit()
        await bench.untilStable(topic, 7)
        expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['kept', 'kept too'])
      })
    })

    describe('offsets', () => {
      test('are null before the first commit', async (bench) => {
        const topic = await bench.topic(2)
        expect(await (await bench.admin()).committedOffsets(bench.name('group'), topic)).toEqual([null, null])
      })

      test('come with their metadata, several partitions in one request, when the transaction commits', async (bench) => {
        const topic = await bench.topic(3)
        const group = bench.name('group')
        const producer = await bench.transactional(bench.name('id'))
        const committed = async (): Promise<unknown> => (await bench.admin()).committedOffsets(group, topic)
        const transaction = await producer.begin()
        await transaction.sendOffsets(group, [
          { topic, partition: 0, offset: 7, metadata: 'seven' },
          { topic, partition: 2, offset: 9, metadata: 'x'.repeat(4_096) },
        ])
        expect(await committed()).toEqual([null, null, null])
        await transaction.commit()
        await bench.until(async () => JSON.stringify(await committed()) !== '[null,null,null]')
        expect(await committed()).toEqual([
          { offset: 7, metadata: 'seven' },
          null,
          { offset: 9, metadata: 'x'.repeat(4_096) },
        ])
      })

      test('of an aborted transaction do not count', async (bench) => {
        const topic = await bench.topic()
        const group = bench.name('group')
        const producer = await bench.transactional(bench.name('id'))
        const transaction = await producer.begin()
        await transaction.sendOffsets(group, [{ topic, partition: 0, offset: 7, metadata: '' }])
        await transaction.abort()
        await (await bench.transactional(bench.name('id'))).fence()
        expect(await (await bench.admin()).committedOffsets(group, topic)).toEqual([null])
      })

      test('with metadata beyond 4 KiB are refused before anything is sent', async (bench) => {
        const topic = await bench.topic()
        const transaction = await (await bench.transactional(bench.name('id'))).begin()
        const offset = { topic, partition: 0, offset: 1, metadata: 'x'.repeat(4_097) }
        await expect(transaction.sendOffsets(bench.name('group'), [offset])).rejects.toThrow(RangeError)
      })

      test('alone make transactions that follow each other at once', async (bench) => {
        const topic = await bench.topic()
        const group = bench.name('group')
        const id = bench.name('id')
        const producer = await bench.transactional(id)
        for (let offset = 1; offset <= 10; offset += 1) {
          const transaction = await producer.begin()
          await transaction.sendOffsets(group, [{ topic, partition: 0, offset, metadata: `m${offset}` }])
          await transaction.commit()
        }
        // The last commit may still be under way: fencing waits for it.
        await (await bench.transactional(id)).fence()
        expect(await (await bench.admin()).committedOffsets(group, topic)).toEqual([{ offset: 10, metadata: 'm10' }])
      })
    })

    describe('fencing', () => {
      test('aborts the former owner’s transaction and refuses its commit and its records', async (bench) => {
        const topic = await bench.topic()
        const id = bench.name('id')
        const former = await (await bench.transactional(id)).begin()
        await former.send([batchOf(topic, 0, 'old')])
        const owner = await bench.transactional(id)
        await owner.fence()
        expect(FENCED).toContain(await codeOfRejection(former.commit()))
        expect(await bench.transact(owner, 'commit', batchOf(topic, 0, 'new'))).toBe(2)
        await bench.untilStable(topic, 4)
        expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['new'])
      })

      test('refuses what the former owner sends and the transactions that it begins', async (bench) => {
        const topic = await bench.topic()
        const id = bench.name('id')
        const producer = await bench.transactional(id)
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'old'))
        const former = await producer.begin()
        await (await bench.transactional(id)).fence()
        expect(FENCED).toContain(await codeOfRejection(former.send([batchOf(topic, 0, 'late')])))
        await bench.untilStable(topic, 2)
        expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['old'])
      })

      test('is not done by connecting alone', async (bench) => {
        const topic = await bench.topic()
        const id = bench.name('id')
        const former = await (await bench.transactional(id)).begin()
        await former.send([batchOf(topic, 0, 'a')])
        await bench.transactional(id)
        await former.commit()
        await bench.untilStable(topic, 2)
        expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['a'])
      })

      test('waits for a commit that is under way: the offset read after it is the last one', async (bench) => {
        const topic = await bench.topic()
        const group = bench.name('group')
        const id = bench.name('id')
        for (let offset = 1; offset <= 5; offset += 1) {
          const producer = await bench.transactional(id)
          await producer.fence()
          const [before] = await (await bench.admin()).committedOffsets(group, topic)
          expect(before?.offset ?? 0).toBe(offset - 1)
          const transaction = await producer.begin()
          await transaction.send([batchOf(topic, 0, String(offset))])
          await transaction.sendOffsets(group, [{ topic, partition: 0, offset, metadata: '' }])
          await transaction.commit()
        }
      })

      test('writes nothing', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        await producer.fence()
        await producer.fence()
        expect(await bench.transact(producer, 'commit', batchOf(topic, 0, 'a'))).toBe(0)
      })
    })

    describe('topics', () => {
      test('are created once and keep their partitions', async (bench) => {
        const admin = await bench.admin()
        const name = await bench.topic(3)
        await admin.ensureTopics([{ name, partitions: 3, configs: { 'retention.ms': '1000000' } }])
        expect(await admin.listTopics()).toContain(name)
        expect(await admin.partitionCount(name)).toBe(3)
        expect(await admin.offsetRanges(name)).toEqual([0, 1, 2].map(() => ({ start: 0, end: 0 })))
      })
    })

    describe('a range', () => {
      test('may begin and end within a batch: nothing below it is handed over', async (bench) => {
        const topic = await bench.topic()
        await bench.send(batchOf(topic, 0, 'a', 'b', 'c', 'd'))
        await bench.send(batchOf(topic, 0, 'e', 'f'))
        const read = await bench.read(topic, 0, 2, 5)
        expect(read.slice(0, 3)).toEqual(['c', 'd', 'e'].map((value, i) => ({ offset: i + 2, value })))
      })

      test('of nothing but aborted records and markers comes to its end without a record', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'a'))
        await bench.transact(producer, 'abort', batchOf(topic, 0, 'b', 'c'))
        await bench.untilStable(topic, 5)
        const batches: FetchedBatch[] = []
        await (await bench.reader()).read({ topic, partition: 0 }, 1, 5, (fetched) => void batches.push(fetched))
        expect(valuesOf(batches)).toEqual([])
        expect(batches.at(-1)).toMatchObject({ nextOffset: 5, endOffset: 5 })
      })

      test('that begins where nothing is kept is out of range', async (bench) => {
        const topic = await bench.topic()
        await bench.send(batchOf(topic, 0, 'a'))
        const reader = await bench.reader()
        expect(await codeOfRejection(reader.read({ topic, partition: 0 }, 5, 9, () => undefined))).toBe(
          'OFFSET_OUT_OF_RANGE',
        )
      })

      test('that reaches beyond the end is an error that says so', async (bench) => {
        const topic = await bench.topic()
        await bench.send(batchOf(topic, 0, 'a'))
        const reader = await bench.reader()
        const batches: FetchedBatch[] = []
        const reading = reader.read({ topic, partition: 0 }, 0, 9, (fetched) => void batches.push(fetched))
        expect(await codeOfRejection(reading)).toBe('END_BEFORE_RANGE')
        expect(valuesOf(batches)).toEqual(['a'])
      })
    })

    describe('a compacted topic', () => {
      test('keeps offsets, and what reads it passes over what is gone', async (bench) => {
        const topic = await bench.topic(1, {
          'cleanup.policy': 'compact',
          'segment.ms': '100',
          'min.cleanable.dirty.ratio': '0',
        })
        const producer = await bench.transactional(bench.name('id'))
        await bench.send(batchOf(topic, 0, 'a', 'b'))
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'c'))
        await bench.transact(producer, 'abort', batchOf(topic, 0, 'dropped'))
        await bench.untilStable(topic, 6)
        await env.sleep(200)
        // The first record of a new segment closes the one before, and only closed ones are cleaned.
        await bench.send(batchOf(topic, 0, 'd'))
        env.clean?.(topic)
        await bench.until(async () => (await bench.read(topic)).length === 2)
        expect(await bench.read(topic)).toEqual([
          { offset: 2, value: 'c' },
          { offset: 6, value: 'd' },
        ])
        expect((await bench.read(topic, 0, 1, 2)).filter(({ offset }) => offset < 2)).toEqual([])
        expect((await bench.read(topic, 0, 3, 6)).filter(({ offset }) => offset < 6)).toEqual([])
      })
    })

    describe('following', () => {
      test('hands over what is there, says that there is no more, then what comes, until the signal', async (bench) => {
        const topic = await bench.topic()
        const producer = await bench.transactional(bench.name('id'))
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'a', 'b'))
        const stop = new AbortController()
        const reader = bench.keep(await env.kafka.rangeReader())
        const seen: string[] = []
        const following = reader.follow({ topic, partition: 0 }, 1, stop.signal, (fetched) => {
          const values = recordsOf(fetched).map(({ value }) => value)
          if (values.length > 0 || seen.at(-1) !== 'rest') seen.push(values.join() || 'rest')
        })
        await bench.until(() => seen.at(-1) === 'rest')
        await bench.transact(producer, 'abort', batchOf(topic, 0, 'dropped'))
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'c'))
        await bench.until(() => seen.includes('c'))
        stop.abort()
        await following
        expect(seen.filter((one) => one !== 'rest')).toEqual(['b', 'c'])
      })

      test('from an offset that is not kept is out of range', async (bench) => {
        const topic = await bench.topic()
        const reader = await bench.reader()
        const following = reader.follow({ topic, partition: 0 }, 3, new AbortController().signal, () => undefined)
        expect(await codeOfRejection(following)).toBe('OFFSET_OUT_OF_RANGE')
      })
    })

    test('a builder may be cleared and used again once its batch has been sent', async (bench) => {
      const topic = await bench.topic()
      const records = builderOf(['a', 'b'])
      await bench.send({ topic, partition: 0, records })
      records.clear()
      records.add(null, Buffer.from('c'))
      await bench.send({ topic, partition: 0, records })
      expect((await bench.read(topic)).map(({ value }) => value)).toEqual(['a', 'b', 'c'])
    })
  })
}
