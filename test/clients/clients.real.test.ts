// the programs of docs/clients.md as they are there, run against the real pipeline: every reading is accepted by
// refine, in the partition of its key. And what the document says of a wrong partitioner.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePorts } from '../../platform/free-port.ts'
import { encodeFramed, FRAME_BYTES, type Reading, readingType } from '../../platform/codec/reading.ts'
import { partitionOf } from '../../platform/kafka/partitioner.ts'
import { CLEAN, DLQ } from '../../schemas/topics.ts'
import { readingOf } from '../fixtures/load.ts'
import { until } from '../fixtures/metric.ts'
import { type Stack, startStack } from '../fixtures/refine.ts'
import { readTopic } from '../fixtures/topic-records.ts'
import { CLIENTS, type Client, lacks, libraryOf, programOf } from './toolchains.ts'

const run = promisify(execFile)
const PARTITIONS = 3
const RUN_TIMEOUT_MS = 240_000
/** Downloads included. */
const TEST_TIMEOUT_MS = 600_000

let stack: Stack
let dir: string
let doorUrl: string

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'plumbline-clients-'))
  stack = await startStack(PARTITIONS)
  await stack.startRefine()
  const [port] = await freePorts(1)
  doorUrl = `http://127.0.0.1:${port}`
  await stack.processes.start({
    main: 'producers/main.ts',
    env: stack.env({ DATA_DIR: dir, PRODUCERS_PORT: String(port) }),
    ready: { url: `${doorUrl}/readyz` },
  })
})
afterAll(async () => {
  await stack?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** The program with the addresses of this test. */
const here = (client: Client): string =>
  programOf(client)
    .replaceAll('127.0.0.1:9092', stack.env().KAFKA_BROKERS)
    .replaceAll('http://127.0.0.1:8081', stack.registryUrl)
    .replaceAll('http://127.0.0.1:8082', doorUrl)

const RUN: Readonly<Record<Client, () => Promise<void>>> = {
  python: async () => {
    const folder = await libraryOf('python')
    await call(join(folder, 'venv/bin/python'), [write('send.py', here('python'))])
  },
  java: async () => {
    const folder = await libraryOf('java')
    await call('java', ['-Xmx256m', '-cp', join(folder, 'libs', '*'), write('Send.java', here('java'))])
  },
  go: async () => {
    const folder = await libraryOf('go')
    writeFileSync(join(folder, 'main.go'), here('go'))
    await call('go', ['run', '.'], folder)
  },
  kcat: async () => {
    const reading = readingOf('kcat-1', 0, 0, Date.now() - 60_000)
    writeFileSync(
      join(dir, 'reading.bin'),
      encodeFramed(readingType, stack.readingId, { ...reading, tenant_id: 'default' }),
    )
    await call('sh', ['-ec', here('kcat')])
  },
  curl: () => call('sh', ['-ec', here('curl')]),
  shell: () => call('sh', ['-ec', here('shell')]),
}

function write(name: string, text: string): string {
  const file = join(dir, name)
  writeFileSync(file, text)
  return file
}

async function call(command: string, args: readonly string[], cwd = dir): Promise<void> {
  await run(command, args, { cwd, timeout: RUN_TIMEOUT_MS, maxBuffer: 16 * 1_048_576 })
}

interface Accepted {
  readonly partition: number
  readonly reading: Reading
}

async function cleanOf(sensor: string): Promise<Accepted[]> {
  const topic = await readTopic(stack.kafka, CLEAN)
  return topic.flatMap((records, partition) =>
    records
      .filter(({ key }) => key?.toString() === `default/${sensor}`)
      .map(({ value }) => ({ partition, reading: readingType.fromBuffer(value!.subarray(FRAME_BYTES)) as Reading })),
  )
}

const runnable = (Object.keys(CLIENTS) as Client[]).filter((client) => lacks(client) === null)
const SENT: Readonly<Record<Client, { sensor: string; count: number; numbered: boolean }>> = {
  python: { sensor: 'py-1', count: 10, numbered: true },
  java: { sensor: 'java-1', count: 10, numbered: true },
  go: { sensor: 'go-1', count: 10, numbered: true },
  kcat: { sensor: 'kcat-1', count: 1, numbered: false },
  curl: { sensor: 'curl-1', count: 1, numbered: true },
  shell: { sensor: 'shell-1', count: 5, numbered: true },
}

describe('docs/clients.md', () => {
  test.each(runnable)(
    'the program for %s: every reading is accepted, in the partition of its key',
    async (client) => {
      const { sensor, count, numbered } = SENT[client]
      await RUN[client]()
      await until(async () => (await cleanOf(sensor)).length >= count, `${client}'s readings are in clean`)
      const accepted = await cleanOf(sensor)
      expect(accepted.map(({ reading }) => reading.seq)).toEqual(Array.from({ length: count }, (_, seq) => seq))
      expect(accepted.every(({ reading }) => reading.epoch > 0)).toBe(numbered)
      const key = Buffer.from(`default/${sensor}`)
      const own = partitionOf(key, 0, key.length, PARTITIONS)
      expect(new Set(accepted.map(({ partition }) => partition))).toEqual(new Set([own]))
    },
    TEST_TIMEOUT_MS,
  )

  test.runIf(lacks('kcat') === null)('a record in another partition is a dead letter that says so', async () => {
    const key = Buffer.from('default/kcat-2')
    const other = (partitionOf(key, 0, key.length, PARTITIONS) + 1) % PARTITIONS
    const reading = { ...readingOf('kcat-2', 0, 0, Date.now() - 60_000), tenant_id: 'default' }
    writeFileSync(join(dir, 'other.bin'), encodeFramed(readingType, stack.readingId, reading))
    const place = ['-b', stack.env().KAFKA_BROKERS, '-t', 'telemetry.raw', '-p', String(other), '-k', String(key)]
    await call('kcat', ['-P', ...place, 'other.bin'])
    const letters = async () => (await readTopic(stack.kafka, DLQ)).flat().filter((letter) => letter.key?.equals(key))
    await until(async () => (await letters()).length === 1, 'it is a dead letter')
    expect(JSON.stringify(await letters())).toContain('WRONG_PARTITION')
  })
})
