// Which members are there to apply the configuration, while that is unknown because the broker is down.
import pino from 'pino'
import { expect, test } from 'vitest'
import { Cluster } from '../platform/membership/cluster.ts'
import { heartbeatBatches, plainHeartbeat } from '../platform/membership/heartbeat.ts'
import { CONFIG_ACKS, NODES, VIEWS } from '../schemas/topics.ts'
import { SimSetting } from './broker/sim-environment.test-support.ts'
import { SCHEMA_IDS, SimRegistry } from './registry.ts'

const TIMEOUT_MS = 10_000

test('MI-5: a wait for everybody is not over because the broker is away and no heartbeat comes; without it, who is silent is gone', async () => {
  const { clock, broker } = new SimSetting(5)
  const end = new AbortController()
  const body = async (): Promise<void> => {
    const kafka = broker.kafka('api')
    const declared = [VIEWS, NODES, CONFIG_ACKS].map((name) => ({ name, partitions: 1, configs: {} }))
    await (await kafka.admin()).ensureTopics(declared)
    const log = pino({ level: 'silent' })
    const { fetchSchema } = new SimRegistry()
    const cluster = new Cluster({ kafka, clock, random: () => 0.5, log, fetchSchema }, end.signal)
    const said = { node_id: 'jobs', kind: 'stream-jobs', at: clock.now(), mono_ms: 0, final: false } as const
    const producer = await kafka.producer()
    await producer.send(heartbeatBatches([plainHeartbeat(said)], SCHEMA_IDS.get(NODES)!))
    const there = (): string[] => cluster.applying(TIMEOUT_MS).map(({ node_id }) => node_id)
    await clock.sleep(5_000)
    expect(there()).toEqual(['jobs'])
    const away = broker.restart(30_000)
    await clock.sleep(20_000)
    expect(there()).toEqual(['jobs'])
    await away
    await clock.sleep(20_000)
    expect(there()).toEqual([])
    end.abort()
  }
  await clock.run(body(), 1_000_000)
})
