// What used to stop a partition for good, or to hide why one stands still: batches that cannot be read, and transactions
// that others leave open.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLEAN, DLQ, RAW } from '../../schemas/topics.ts'
import { bare } from '../fixtures/bare.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { type RegistryFront, startRegistryFront } from '../fixtures/registry-front.ts'
import { settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const NOW = Date.now() - 60_000

let stack: Stack
let front: RegistryFront
let refine: ServiceProcess
let requests: readonly string[]

beforeAll(async () => {
  stack = await startStack(1)
  front = await startRegistryFront(stack.registryUrl)
  ;({ requests } = front)
  refine = await stack.startRefine({ REGISTRY_URL: front.url })
})
afterAll(async () => {
  await stack?.stop()
  front?.stop()
})

const good = (sensor: string): LoadRecord => recordOf(readingOf(sensor, 1, 0, NOW), stack.readingId)
const cleanKeys = async (): Promise<string[]> =>
  (await readTopic(stack.kafka, CLEAN)).flat().map(({ key }) => key!.toString())

describe('nothing stops a partition', () => {
  it('security 5: 20,000 records with as many schema ids are dead letters by a handful of requests to the registry', async () => {
    const before = (await readTopic(stack.kafka, DLQ)).flat().length
    const garbage = Array.from({ length: 20_000 }, (_, i): LoadRecord => {
      const value = Buffer.alloc(20)
      value.writeUInt32BE(100_000 + i, 1)
      return { key: Buffer.from('t1/garbage'), value }
    })
    await stack.send(garbage)
    await stack.send([good('after-garbage')])
    await settled(stack)
    expect(await cleanKeys()).toContain('t1/after-garbage')
    expect((await readTopic(stack.kafka, DLQ)).flat().length).toBe(before + 20_000)
    expect(requests.filter((url) => url.startsWith('/schemas/ids/1'))).toEqual([])
    expect(requests.filter((url) => url.startsWith('/schemas?')).length).toBeLessThan(200)
    expect(refine.output()).not.toContain('in doubt')
  })

  it.each(['GZIP', 'LZ4', 'ZSTD'])(
    'security 2: 80 values of a million zero bytes in one small batch of %s: one dead letter names them, and what follows is worked on',
    async (compression) => {
      const [{ end: first }] = await stack.admin.offsetRanges(RAW)
      await bare('produce', {
        brokers: stack.broker.brokers,
        topic: RAW,
        partition: 0,
        compression,
        records: [],
        zeros: { count: 80, bytes: 1_000_000 },
      })
      await stack.send([good(`after-${compression}`)])
      await settled(stack)
      expect(await cleanKeys()).toContain(`t1/after-${compression}`)
      const letters = (await readTopic(stack.kafka, DLQ)).flat().map(({ headers }) => headers)
      const letter = letters.find(({ '__connect.errors.offset': offset }) => Number(offset) === first + 79)!
      expect(letter['__connect.errors.exception.class.name']).toBe('UNREADABLE_BATCH')
      expect(letter['__connect.errors.exception.message']).toContain(`offsets ${first} to ${first + 79} cannot be read`)
    },
  )

  it('security 2: many batches that each just unpack are dead-lettered record by record, in bounded pieces', async () => {
    const before = (await readTopic(stack.kafka, DLQ)).flat().length
    const zeros = { count: 25, bytes: 1_000_000 }
    for (let i = 0; i < 3; i += 1)
      await bare('produce', {
        brokers: stack.broker.brokers,
        topic: RAW,
        partition: 0,
        compression: 'GZIP',
        records: [],
        zeros,
      })
    await stack.send([good('after-many')])
    await settled(stack)
    expect(await cleanKeys()).toContain('t1/after-many')
    expect((await readTopic(stack.kafka, DLQ)).flat().length).toBe(before + 75)
  })
})
