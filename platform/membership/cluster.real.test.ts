// The reader of the cluster's state on a real broker, by a clock that is hours ahead of all heartbeats.
import avsc from 'avsc'
import pino from 'pino'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { loadSchema, schemaText } from '../../schemas/load.ts'
import { CONFIG_ACKS, NODES, topicSpec, VIEWS } from '../../schemas/topics.ts'
import { startTestKafka, type TestKafka } from '../../test/fixtures/kafka.ts'
import { until } from '../../test/fixtures/metric.ts'
import { readTopic } from '../../test/fixtures/topic-records.ts'
import { type Clock, systemClock } from '../clock.ts'
import { encodeFramed } from '../codec/reading.ts'
import { loadConfig } from '../config.ts'
import { connectKafka } from '../kafka/kafkajs/client.ts'
import type { Kafka, OutgoingBatch } from '../kafka/port.ts'
import { RecordBatchBuilder } from '../kafka/record-batch/builder.ts'
import { ackBatch } from '../runtime-config/codec.ts'
import { Cluster } from './cluster.ts'
import { heartbeatBatches, plainHeartbeat } from './heartbeat.ts'

const SCHEMAS = ['view', 'heartbeat', 'config-ack']
const AHEAD_MS = 2 * 3_600_000
/** Hours ahead, and what lasts a minute is over at once. */
const ahead: Clock = {
  ...systemClock,
  now: () => Date.now() + AHEAD_MS,
  sleep: (ms, signal) => systemClock.sleep(Math.min(ms, 100), signal),
}
const end = new AbortController()
let broker: TestKafka
let kafka: Kafka

beforeAll(async () => {
  broker = await startTestKafka()
  kafka = connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' }))
  const admin = await kafka.admin()
  await admin.ensureTopics(
    [NODES, VIEWS, CONFIG_ACKS].map(topicSpec).map(({ name, configs }) => ({ name, configs, partitions: 1 })),
  )
  await admin.close()
})
afterAll(async () => {
  end.abort()
  await broker?.stop()
})

const idOf = (schema: string): number => SCHEMAS.indexOf(schema)

function viewBatch(...members: readonly string[]): OutgoingBatch {
  const type = avsc.Type.forSchema(loadSchema('view') as unknown as avsc.Schema)
  const view = { view_id: 1, at: 5, leader: 'long-gone', members: members.map((node_id) => ({ node_id, kind: 'x', since: 1 })) } // prettier-ignore
  const records = new RecordBatchBuilder()
  records.add(Buffer.from('0'), Buffer.from('garbage'))
  records.add(Buffer.from('1'), encodeFramed(type, idOf('view'), view))
  return { topic: VIEWS, partition: 0, records }
}

test('DS-3: who has been silent for an hour is taken out of the topics; what cannot be read hides nothing', async () => {
  const producer = await kafka.producer()
  const said = plainHeartbeat({ node_id: 'long-gone', kind: 'sinks', at: 1, mono_ms: 2, final: false })
  const ack = { node_id: 'long-gone', kind: 'stream-jobs', version: 7, at: 1, refused: null }
  await producer.send([viewBatch('long-gone', 'unheard')])
  await producer.send(heartbeatBatches([said], idOf('heartbeat')))
  await producer.send([ackBatch([ack], idOf('config-ack'))])
  await producer.close()
  const cluster = new Cluster(
    {
      ...{ kafka, clock: ahead, random: Math.random, log: pino({ level: 'silent' }) },
      fetchSchema: (id) => Promise.resolve(SCHEMAS[id] === undefined ? null : schemaText(SCHEMAS[id])),
    },
    end.signal,
  )
  expect([cluster.stalenessMs, cluster.current()]).toEqual([null, null])
  await until(() => Promise.resolve(cluster.stalenessMs !== null), 'the topics are read')
  expect(cluster.current()).toMatchObject({ view_id: 1, leader: 'long-gone' })
  await until(() => Promise.resolve(cluster.current()!.members[0].heartbeat === null), 'the silent member is gone')
  await until(() => Promise.resolve(cluster.current()!.members[0].config_version === null), 'its word is gone')
  for (const topic of [NODES, CONFIG_ACKS]) {
    const [records] = await readTopic(kafka, topic)
    expect(records[0].value).not.toBeNull()
    expect(records.at(-1)).toMatchObject({ key: Buffer.from('long-gone'), value: null })
  }
})
