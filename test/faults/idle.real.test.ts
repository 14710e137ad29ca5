// A raw partition to which nothing comes any more, and whose last records were aborted (dead letters that were to be
// replayed): no fetch says that its end is reached. Its gaps are given up all the same, and retention may take all of it.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { RAW } from '../../schemas/topics.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { bare } from '../fixtures/bare.ts'
import { readingOf, recordOf } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { settled, type Stack, startStack } from '../fixtures/refine.ts'

const POLL_MS = 50
const TRIES = 1_000
/** Long enough for the process to be killed while the gap is open. */
const GAP = { REFINE_GAP_TIMEOUT_MS: '3000' }

let stack: Stack
let refine: ServiceProcess

beforeAll(async () => {
  stack = await startStack(1)
  refine = await stack.startRefine(GAP)
})
afterAll(() => stack?.stop())

interface Metadata {
  readonly snapshot: { readonly input: number }
}

async function committed(): Promise<{ offset: number; snapshotInput: number }> {
  const [at] = await stack.admin.committedOffsets('refine', RAW)
  if (at === null) return { offset: 0, snapshotInput: 0 }
  return { offset: at.offset, snapshotInput: (JSON.parse(at.metadata) as Metadata).snapshot.input }
}

async function abortOne(): Promise<void> {
  const producer = await stack.kafka.transactionalProducer({ transactionalId: 'replay', transactionTimeoutMs: 10_000 })
  const transaction = await producer.begin()
  const records = new RecordBatchBuilder()
  records.add(null, Buffer.from('aborted'))
  await transaction.send([{ topic: RAW, partition: 0, records }])
  await transaction.abort()
  await producer.close()
}

it('EM-2: a gap is given up after a restart, although aborted records are all that is left to read', async () => {
  const now = Date.now()
  await stack.send([0, 2].map((seq) => recordOf(readingOf('idle', 1, seq, now + seq), stack.readingId)))
  while ((await committed()).offset < 2) await delay(POLL_MS)
  await abortOne()
  await refine.kill()
  refine = await stack.startRefine(GAP)
  await settled(stack)
})

it('X-2: what is committed and its snapshot reach the end, so that retention may take everything', async () => {
  await abortOne()
  const [{ end }] = await stack.admin.offsetRanges(RAW)
  const isSaved = async (): Promise<boolean> => {
    const { offset, snapshotInput } = await committed()
    return offset === end && snapshotInput === end
  }
  for (let tries = 0; tries < TRIES && !(await isSaved()); tries += 1) await delay(POLL_MS)
  expect(await committed()).toEqual({ offset: end, snapshotInput: end })
  expect(await refine.stop()).toBe(0)
  const partitions = [{ partition: 0, offset: String(end) }]
  await bare('admin', { brokers: stack.broker.brokers, deleteRecords: { topic: RAW, partitions } })
  while ((await stack.admin.offsetRanges(RAW))[0].start < end) await delay(POLL_MS)
  // Ready once its partition runs.
  refine = await stack.startRefine(GAP)
})
