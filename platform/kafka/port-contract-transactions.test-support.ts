// The port's contract, third part: what is told of transactions that have not ended.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { batchOf, type PortEnvironment, Workbench } from './port-contract.test-support.ts'

export function describeTransactions(name: string, makeEnvironment: () => Promise<PortEnvironment>): void {
  describe(`${name}: open transactions`, () => {
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

    describe('an open transaction', () => {
      test('K2: is named with its producer, since when it is open, and where it begins, until it ends', async (bench) => {
        const topic = await bench.topic(3)
        const id = bench.name('id')
        const producer = await bench.transactional(id)
        await bench.send(batchOf(topic, 1, 'a', 'b'))
        const before = bench.env.now()
        const transaction = await producer.begin()
        await transaction.send([batchOf(topic, 1, 'c'), batchOf(topic, 2, 'd', 'e')])
        await bench.send(batchOf(topic, 1, 'f'))
        const admin = await bench.admin()
        expect((await admin.offsetRanges(topic)).map(({ end }) => end)).toEqual([0, 2, 0])
        expect(await admin.highWatermarks(topic)).toEqual([0, 4, 2])
        const open = await admin.openTransactions(topic)
        const producerId = expect.stringMatching(/^\d+$/) as string
        const sinceMs = expect.any(Number) as number
        const at = { topic, producerId, transactionalId: id, sinceMs }
        expect(open).toEqual([
          { ...at, partition: 1, firstOffset: 2 },
          { ...at, partition: 2, firstOffset: 0 },
        ])
        for (const one of open) expect(Math.abs(one.sinceMs - before)).toBeLessThan(30_000)
        await transaction.abort()
        await bench.until(async () => (await admin.openTransactions(topic)).length === 0)
        await bench.untilStable(topic, 0)
        expect((await admin.offsetRanges(topic))[1].end).toBe((await admin.highWatermarks(topic))[1])
      })

      test('K2: there is none where all have ended, and none on a topic of others', async (bench) => {
        const [topic, other] = [await bench.topic(), await bench.topic()]
        const producer = await bench.transactional(bench.name('id'))
        await bench.transact(producer, 'commit', batchOf(topic, 0, 'a'))
        const transaction = await producer.begin()
        await transaction.send([batchOf(other, 0, 'b')])
        const admin = await bench.admin()
        await bench.until(async () => (await admin.openTransactions(topic)).length === 0)
        expect((await admin.openTransactions(other)).map(({ firstOffset }) => firstOffset)).toEqual([0])
        await transaction.commit()
      })
    })
  })
}
