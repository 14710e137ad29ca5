// What does keep a partition from moving for good reason is named: by readiness, at once, with what helps. And what is no
// reason for refinement to stop does not stop it.
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../platform/config.ts'
import { freePorts } from '../../platform/free-port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { CLEAN, EXTENTS, RAW } from '../../schemas/topics.ts'
import { controlHeaders } from '../../stream-jobs/refine/core/control.ts'
import { RefineConfiguration } from '../../stream-jobs/refine/runtime/configuration.ts'
import { bare } from '../fixtures/bare.ts'
import { type LoadRecord, readingOf, recordOf } from '../fixtures/load.ts'
import type { ServiceProcess } from '../fixtures/processes.ts'
import { QUICK, settled, type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'

const NOW = Date.now() - 60_000
const WAIT_MS = 60_000

let stack: Stack
let refine: ServiceProcess
let url: string

beforeAll(async () => {
  stack = await startStack(1)
  const [port] = await freePorts(1)
  url = `http://127.0.0.1:${port}/readyz`
  refine = await stack.processes.start({
    main: 'stream-jobs/main.ts',
    env: stack.env({ ...QUICK, STREAM_JOBS_PORT: String(port) }),
    ready: { url },
  })
})
afterAll(() => stack?.stop())

const good = (sensor: string): LoadRecord => recordOf(readingOf(sensor, 1, 0, NOW), stack.readingId)
const cleanKeys = async (): Promise<string[]> =>
  (await readTopic(stack.kafka, CLEAN)).flat().map(({ key }) => key!.toString())

async function readiness(holds: (status: number, text: string) => boolean): Promise<string> {
  let last = ''
  for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(200)) {
    const answer = await fetch(url)
    last = `${answer.status} ${await answer.text()}`
    if (holds(answer.status, last)) return last
  }
  throw new Error(`readiness did not come to pass; last: ${last}; log: ${refine.output().slice(-4_000)}`)
}

const untilOutput = async (pattern: RegExp): Promise<void> => {
  for (const deadline = performance.now() + WAIT_MS; !pattern.test(refine.output()); await delay(200))
    if (performance.now() > deadline) throw new Error(`${pattern} is not in the log: ${refine.output().slice(-4_000)}`)
}

describe('security 6: settings of a version that topic config does not have', () => {
  it('are named while they hold, and overruled on a live broker; then refine is ready again', async () => {
    const forged = Number.MAX_SAFE_INTEGER
    const settings = {
      ...new RefineConfiguration(loadConfig(stack.env()), null).wanted,
      partitions: 1,
      z: 1_000,
      version: forged,
    }
    const records = new RecordBatchBuilder()
    records.add(null, null, controlHeaders({ kind: 'settings', settings }))
    const producer = await stack.kafka.producer()
    await producer.send([{ topic: RAW, partition: 0, records }])
    await producer.close()
    const named = `${RAW}/0 works by settings of version ${forged}, which topic config does not have`
    await readiness((status, text) => status === 503 && text.includes(named))
    await readiness((status) => status === 200)
    expect(refine.output()).toContain('SETTINGS_FOREIGN')
    const controls = (await readTopic(stack.kafka, RAW)).flat().filter(({ headers }) => 'plumbline.settings' in headers)
    const { headers } = controls.at(-1)!
    expect(headers['plumbline.settings.overrules']).toBe(String(forged))
    expect(JSON.parse(headers['plumbline.settings'])).toMatchObject({ version: 0, z: 3 })
    // They are not asked for again: the partition works by the right ones.
    await settled(stack)
    expect(controls.filter((one) => one.headers['plumbline.settings.overrules'] === String(forged))).toHaveLength(1)
  })
})

describe('what keeps a partition from moving is named', () => {
  it('K2: a transaction that another producer leaves open, with its producer, offset and the command that ends it', async () => {
    await stack.send([good('before')])
    await settled(stack)
    const producer = await stack.kafka.transactionalProducer({
      transactionalId: 'left-open',
      transactionTimeoutMs: 60_000,
    })
    const transaction = await producer.begin()
    const records = new RecordBatchBuilder()
    const { key, value } = good('inside')
    records.add(key, value)
    const [first] = await transaction.send([{ topic: RAW, partition: 0, records }])
    const named = await readiness((status, text) => status === 503 && text.includes('transactional id left-open'))
    expect(named).toContain(`${RAW}/0 is held at offset ${first} by a transaction of producer`)
    expect(named).toContain(`abort --topic ${RAW} --partition 0 --start-offset ${first}`)
    await transaction.abort()
    await producer.close()
    await readiness((status) => status === 200)
  })

  it('faults 5: the group’s offsets are deleted under a running member: named at once, written again, and a restart continues', async () => {
    const [before] = await stack.admin.committedOffsets('refine', RAW)
    refine.freeze()
    for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(500)) {
      const isDeleted = await bare('admin', { brokers: stack.broker.brokers, deleteGroup: 'refine' }).then(
        () => true,
        () => false,
      )
      if (isDeleted) break
    }
    refine.thaw()
    await untilOutput(/group refine has no offset for telemetry\.raw\/0 where \d+ was committed/)
    for (const deadline = performance.now() + WAIT_MS; performance.now() < deadline; await delay(200))
      if ((await stack.admin.committedOffsets('refine', RAW))[0] !== null) break
    const [after] = await stack.admin.committedOffsets('refine', RAW)
    expect(after!.offset).toBeGreaterThanOrEqual(before!.offset)
    await stack.send([good('after-vanished')])
    await settled(stack)
    expect(await cleanKeys()).toContain('t1/after-vanished')
  })

  it('security 5: thousands of records with schema ids of their own neither throw the member out nor hold it up', async () => {
    const records = Array.from({ length: 3_000 }, (_, i) => {
      const value = Buffer.alloc(20, 1)
      value[0] = 0
      value.writeUInt32BE(1_000_000 + i, 1)
      return { key: Buffer.from(`t1/noise${i}`), value }
    })
    await stack.send(records)
    await stack.send([good('after-noise')])
    await settled(stack)
    expect(await cleanKeys()).toContain('t1/after-noise')
    expect(refine.output()).not.toContain('has ended; recreating')
  })

  it('faults 6: a bad extent stops the order and says so; refinement continues', async () => {
    const records = new RecordBatchBuilder()
    records.add(Buffer.from('0'), Buffer.from('no extent'))
    const producer = await stack.kafka.producer()
    await producer.send([{ topic: EXTENTS, partition: 0, records }])
    await producer.close()
    const named = await readiness((status, text) => status === 503 && text.includes('the order has stopped'))
    expect(named).toContain('1 partitions run')
    await stack.send([good('after-order')])
    await settled(stack)
    expect(await cleanKeys()).toContain('t1/after-order')
    expect(refine.isRunning()).toBe(true)
  })

  it('faults 4: more partitions on raw alone are named with both counts, until the other topics have as many', async () => {
    await bare('admin', { brokers: stack.broker.brokers, grow: { topic: RAW, partitions: 2 } })
    const named = await readiness((status, text) => status === 503 && text.includes(`${RAW} has 2 partitions`))
    expect(named).toContain(`${CLEAN} 1`)
    expect(refine.isRunning()).toBe(true)
  })
})
