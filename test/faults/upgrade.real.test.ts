// Another version of the core takes over: where a clean stop has left its snapshot it continues; where records would have to
// be replayed under other rules it stops and names the way out. Another version is one whose name is in the metadata.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type CommitMetadata, readCommitMetadata } from '../../schemas/refine.ts'
import { RAW } from '../../schemas/topics.ts'
import { makeLoad } from '../fixtures/load.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { verify } from '../oracle/verify.ts'

/** No snapshot but the first and the last. */
const RARE_SNAPSHOTS = { REFINE_SNAPSHOT_MS: '3600000' }
const PARTITIONS = 2

let stack: Stack

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
})
afterAll(() => stack?.stop())

const load = (prefix: string) =>
  makeLoad({
    seed: 3,
    sensors: 6,
    readingsPerSensor: 50,
    schemaId: stack.readingId,
    startMs: Date.now() - 60_000,
    prefix,
  })

interface State extends CommitMetadata {
  readonly offset: number
}

async function states(): Promise<State[]> {
  const committed = await stack.admin.committedOffsets('refine', RAW)
  return committed.map((at) => ({ ...readCommitMetadata(at!.metadata), offset: at!.offset }))
}

/** As if a core of that version had committed what is committed. */
async function relabel(core: string): Promise<void> {
  const producer = await stack.kafka.transactionalProducer({ transactionalId: 'other', transactionTimeoutMs: 10_000 })
  const transaction = await producer.begin()
  for (const [partition, { offset, ...metadata }] of (await states()).entries())
    await transaction.sendOffsets('refine', [
      { topic: RAW, partition, offset, metadata: JSON.stringify({ ...metadata, core }) },
    ])
  await transaction.commit()
  await producer.close()
}

it('X-2: a core of another version that would have to replay stops, and names the way out', async () => {
  const refine = await stack.startRefine(RARE_SNAPSHOTS)
  await stack.send(load('a'))
  await settled(stack)
  await refine.kill()
  const before = await states()
  expect(before.some(({ offset, snapshot }) => snapshot.input < offset)).toBe(true)
  await relabel('1-0000beef')
  const stopped = await stack.processes.start({
    main: 'stream-jobs/main.ts',
    env: stack.env({ ...QUICK, STREAM_JOBS_PORT: '0' }),
    ready: { output: 'listening' },
  })
  expect(await stopped.exited).toBe(1)
  expect(stopped.output()).toMatch(/CORE_CHANGED/)
  expect(stopped.output()).toMatch(/was reached by core version 1-0000beef, whose last snapshot is at \d+/)
  expect(stopped.output()).toMatch(/Start the former version of Plumbline once more and stop it cleanly/)
  await relabel(before[0].core)
})

it('X-2: a clean stop leaves a snapshot at the last offset, and another version continues from there', async () => {
  const refine = await stack.startRefine(RARE_SNAPSHOTS)
  await stack.send(load('b'))
  await settled(stack)
  expect(await refine.stop()).toBe(0)
  for (const { offset, snapshot } of await states()) expect(snapshot.input).toBe(offset)
  await relabel('1-0000beef')
  await stack.startRefine(RARE_SNAPSHOTS)
  await stack.send(load('c'))
  await settled(stack)
  const { problems, counts } = await verify(stack)
  expect(problems).toEqual([])
  expect(counts.clean).toBeGreaterThan(500)
  expect(new Set((await states()).map(({ core }) => core))).not.toContain('1-0000beef')
})
