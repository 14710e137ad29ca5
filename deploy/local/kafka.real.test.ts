// The local broker: starts on nothing, keeps its data over kill -9, and does not share its folder.
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import type { Kafka } from '../../platform/kafka/port.ts'
import { createLog } from '../../platform/log.ts'
import { withFileLock } from '../../platform/file-lock.ts'
import { freePort, freePorts } from '../../platform/free-port.ts'
import { ensureKafkaJars, startKafka, type RunningKafka } from './kafka.ts'
import { startRedis } from './redis.ts'
import { ensureTools } from './tools.ts'

let folder: string
let broker: RunningKafka
const connect = (brokers: string): Kafka =>
  connectKafka(loadConfig({ KAFKA_BROKERS: brokers }), createLog('test', 'error'))

beforeAll(async () => {
  await ensureTools(['java', 'maven', 'redis'])
  folder = mkdtempSync(join(tmpdir(), 'plumbline-local-'))
  broker = await startKafka({ dataDir: join(folder, 'kafka'), port: 0 })
})
afterAll(async () => {
  await broker?.kill()
  rmSync(folder, { recursive: true, force: true })
})

describe('a local broker', () => {
  it('serves the moment it is started, and keeps what was acknowledged over kill -9 on the same port', async () => {
    const admin = await connect(broker.brokers).admin()
    await admin.ensureTopics([{ name: 'kept', partitions: 1, configs: {} }])
    const producer = await connect(broker.brokers).producer()
    const records = new RecordBatchBuilder()
    records.add(null, Buffer.from('kept'))
    await producer.send([{ topic: 'kept', partition: 0, records }])
    await Promise.all([producer.close(), admin.close()])
    const { port, pid } = broker
    await broker.kill()
    expect(await broker.exited).toBe(137)
    broker = await startKafka({ dataDir: join(folder, 'kafka'), port })
    expect(broker).toMatchObject({ port, brokers: `127.0.0.1:${port}` })
    expect(broker.pid).not.toBe(pid)
    const again = await connect(broker.brokers).admin()
    expect(await again.offsetRanges('kept')).toEqual([{ start: 0, end: 1 }])
    await again.close()
  })

  it('K10: says why it does not start: its port was taken after it was checked', async () => {
    const taken = createServer()
    const port = await freePort()
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
    const start = startKafka({ dataDir: join(folder, 'taken'), port })
    await expect(start).rejects.toMatchObject({
      code: 'PORT_IN_USE',
      message: expect.stringContaining(`port ${port} has been taken by another program`) as string,
    })
    await new Promise((resolve) => taken.close(resolve))
  })

  it('takes broker properties in place of ours', async () => {
    const start = startKafka({ dataDir: join(folder, 'odd'), port: 0, properties: { 'num.io.threads': '0' } })
    await expect(start).rejects.toMatchObject({
      code: 'KAFKA_START',
      message: expect.stringContaining('num.io.threads') as string,
    })
  })
})

describe('Kafka’s jars', () => {
  it('are fetched once when two processes ask at once, and completely', async () => {
    const cache = join(folder, 'cache')
    const said: string[] = []
    const progress = (line: string) => void said.push(line)
    const [first, second] = await Promise.all([ensureKafkaJars(progress, cache), ensureKafkaJars(progress, cache)])
    expect(first).toBe(second)
    expect(said).toHaveLength(1)
    expect(readdirSync(first)).toContain('kafka-clients-4.1.0.jar')
    expect(readdirSync(cache).filter((name) => name.startsWith('partial-'))).toEqual([])
  })

  it('leave nothing behind when Maven fails', async () => {
    const cache = join(folder, 'failed')
    const path = process.env.PATH
    process.env.PATH = '/nonexistent'
    try {
      await expect(ensureKafkaJars(undefined, cache)).rejects.toMatchObject({ code: 'KAFKA_DOWNLOAD' })
    } finally {
      process.env.PATH = path
    }
    expect(existsSync(cache) ? readdirSync(cache).filter((name) => name !== 'download.lock') : []).toEqual([])
  })
})

describe('a missing tool', () => {
  it('is named with its package where it cannot be installed', async () => {
    const path = process.env.PATH
    process.env.PATH = '/nonexistent'
    try {
      const message = expect.stringMatching(/Maven.*apt-get install openjdk-17-jre-headless maven/) as string
      await expect(ensureTools(['java', 'maven'])).rejects.toMatchObject({ code: 'TOOLS_MISSING', message })
    } finally {
      process.env.PATH = path
    }
  })
})

describe('a local Redis', () => {
  it('answers, ends on SIGTERM with 0, and says that its port is taken', async () => {
    const redis = await startRedis({ dataDir: join(folder, 'redis'), port: 0 })
    await expect(startRedis({ dataDir: join(folder, 'redis'), port: redis.port })).rejects.toMatchObject({
      code: 'REDIS_START',
      message: expect.stringContaining('in use') as string,
    })
    await redis.stop()
    expect(await redis.exited).toBe(0)
  })
})

describe('helpers of the local stack', () => {
  it('run one holder of a file lock after the other', async () => {
    const events: string[] = []
    const work = (name: string) => async () => {
      events.push(`${name} begins`)
      await new Promise((resolve) => setTimeout(resolve, 50))
      events.push(`${name} ends`)
    }
    const lock = join(folder, 'a.lock')
    await Promise.all([withFileLock(lock, work('a')), withFileLock(lock, work('b'))])
    expect(events).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
  })

  it('find different free ports below the ephemeral range', async () => {
    const ports = await freePorts(20)
    expect(new Set(ports).size).toBe(20)
    expect(Math.max(...ports)).toBeLessThan(32_768)
  })
})
