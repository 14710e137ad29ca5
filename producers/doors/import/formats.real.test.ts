// K9 on a real broker: every format is imported, killed in between, imported again, and once more. Each reading is then in
// telemetry.raw once, with the right metrics and the right time.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FRAME_BYTES, METRIC_NAMES, type Reading, readingType } from '../../../platform/codec/reading.ts'
import { loadConfig } from '../../../platform/config.ts'
import { connectKafka } from '../../../platform/kafka/kafkajs/client.ts'
import type { Kafka } from '../../../platform/kafka/port.ts'
import { listWals } from '../../../platform/wal/directory.ts'
import { readWalSummary } from '../../../platform/wal/reader.ts'
import { RAW, TOPICS } from '../../../schemas/topics.ts'
import { startTestKafka, type TestKafka } from '../../../test/fixtures/kafka.ts'
import { until } from '../../../test/fixtures/metric.ts'
import { Processes } from '../../../test/fixtures/processes.ts'
import { FORMATS } from './formats.test-support.ts'

const processes = new Processes()
const dir = mkdtempSync(join(tmpdir(), 'plumbline-formats-'))
let broker: TestKafka
let kafka: Kafka
let env: Record<string, string>

beforeAll(async () => {
  broker = await startTestKafka()
  kafka = connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' }))
  const admin = await kafka.admin()
  await admin.ensureTopics(TOPICS.map(({ name, configs }) => ({ name, configs, partitions: 1 })))
  await admin.close()
  const registry = await processes.start({
    main: 'registry/main.ts',
    env: { KAFKA_BROKERS: broker.brokers, REGISTRY_PORT: '0' },
    ready: { output: '"listening"' },
  })
  const port = /"port":(\d+)(?!.*"port":)/s.exec(registry.output())?.[1]
  env = {
    KAFKA_BROKERS: broker.brokers,
    REGISTRY_URL: `http://127.0.0.1:${port}`,
    DATA_DIR: dir,
    LOG_LEVEL: 'warn',
  }
})
afterAll(async () => {
  await processes.stopAll()
  await broker?.stop()
  rmSync(dir, { recursive: true, force: true })
})

/** Readings in the logs of all imports so far. */
const logged = (): number =>
  listWals(dir).reduce((sum, { dir: log }) => sum + (readWalSummary(log)?.appendedIndex ?? 0), 0)

async function readRaw(): Promise<Reading[]> {
  const admin = await kafka.admin()
  const [{ start, end }] = await admin.offsetRanges(RAW)
  await admin.close()
  const reader = await kafka.rangeReader()
  const found: Reading[] = []
  if (end > start)
    await reader.read({ topic: RAW, partition: 0 }, start, end, ({ batches }) => {
      for (const batch of batches)
        for (let i = 0; i < batch.count; i += 1)
          found.push(readingType.fromBuffer(Buffer.from(batch.value(i)!).subarray(FRAME_BYTES)) as Reading)
    })
  await reader.close()
  return found
}

const metricsOf = (reading: Reading): Record<string, unknown> =>
  Object.fromEntries(METRIC_NAMES.filter((name) => reading[name] != null).map((name) => [name, reading[name]]))

/** A reading that was sent again after the kill has the number that it had before. */
function distinct(readings: readonly Reading[]): Reading[] {
  const byNumber = new Map(readings.map((reading) => [`${reading.sensor_id} ${reading.epoch} ${reading.seq}`, reading]))
  return [...byNumber.values()]
}

describe('K9: each format, killed in between and imported again', () => {
  test.each(FORMATS)('$name: each reading once, to the right metric, at the right time', async (format) => {
    const file = join(dir, format.file)
    writeFileSync(file, format.content)
    const args = ['import', file, ...format.args]
    const [before, already] = [(await readRaw()).length, logged()]
    const slow = await processes.start({
      main: 'producers/main.ts',
      args: [...args, '--rate', '1'],
      env,
      ready: { output: 'time = ' },
    })
    await until(() => Promise.resolve(logged() > already), 'the first reading is in the log')
    await slow.kill()
    const again = await processes.start({
      main: 'producers/main.ts',
      args,
      env,
      ready: { output: 'readings delivered' },
    })
    expect(await again.exited).toBe(0)
    const sent = distinct((await readRaw()).slice(before))
    const shown = sent.map((reading) => [reading.sensor_id, new Date(reading.ts).toISOString(), metricsOf(reading)])
    expect(shown.sort()).toEqual([...format.readings].sort())
    const length = (await readRaw()).length
    const third = await processes.start({ main: 'producers/main.ts', args, env, ready: { output: 'nothing to do' } })
    expect(await third.exited).toBe(0)
    expect((await readRaw()).length).toBe(length)
  })
})
