// A configuration change whose commit was not answered may or may not have been made. The writer finds out: it never
// writes it twice, never reports a change as failed that was made, nor as made one that was not.
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../platform/config.ts'
import { KafkaError } from '../platform/errors.ts'
import { configBatch } from '../platform/runtime-config/codec.ts'
import { CONFIG_LIMITS, NOTHING_SET, type RuntimeConfig } from '../platform/runtime-config/document.ts'
import { baseValues } from '../platform/runtime-config/settings.ts'
import { ConfigWriter } from '../platform/runtime-config/writer.ts'
import { CONFIG } from '../schemas/topics.ts'
import { SimSetting } from './broker/sim-environment.test-support.ts'
import { versionsOf } from './checks/configuration.ts'
import { SCHEMA_IDS, SimRegistry } from './registry.ts'

const SCHEMA_ID = SCHEMA_IDS.get(CONFIG)!
const SCOPES = { fleet: { 'detector.z': 4 } }
/** The empty transaction that fences ends without a request, so the first such request ends the change's. */
const COMMIT = { call: 'EndTxn' } as const

async function writerOn({ broker, clock }: SimSetting, client: string): Promise<ConfigWriter> {
  const kafka = broker.kafka(client)
  await (await kafka.admin()).ensureTopics([{ name: CONFIG, partitions: 1, configs: {} }])
  return new ConfigWriter({
    kafka,
    now: () => clock.now(),
    fetchSchema: new SimRegistry().fetchSchema,
    schemaId: () => Promise.resolve(SCHEMA_ID),
    base: baseValues(loadConfig({})),
    seen: () => NOTHING_SET,
  })
}

const written = ({ broker }: SimSetting): number[] => versionsOf(broker).map(({ version }) => version)

const inSetting = (body: (setting: SimSetting) => Promise<void>) => () => {
  const setting = new SimSetting(3)
  return setting.run(() => body(setting))
}

describe('a change whose commit was not answered (MI-5)', () => {
  test(
    'stands once and is reported as made, where the broker had committed it',
    inSetting(async (setting) => {
      const writer = await writerOn(setting, 'api')
      const lost = setting.broker.script({ when: COMMIT, then: 'lose-answer' })
      expect(await writer.write(SCOPES, 0)).toMatchObject({ version: 1, scopes: SCOPES })
      lost.assertFired()
      expect(written(setting)).toEqual([1])
      expect((await writer.write({}, 1)).version).toBe(2)
    }),
  )

  test.each(['reject', 'delay'] as const)(
    'is not there and is reported as not made, where the broker had not committed it (%s)',
    (fault) =>
      inSetting(async (setting) => {
        const writer = await writerOn(setting, 'api')
        const lost = setting.broker.script({ when: COMMIT, then: fault })
        await expect(writer.write(SCOPES, 0)).rejects.toThrow(KafkaError)
        lost.assertFired()
        // What is in flight arrives by then, and is refused: its place has been taken.
        await setting.clock.sleep(60_000)
        expect(written(setting)).toEqual([])
        expect((await writer.write({}, 0)).version).toBe(1)
      })(),
  )

  test(
    'is nobody’s to judge while the broker is away: an error, and anyone who reads it back finds it',
    inSetting(async (setting) => {
      const writer = await writerOn(setting, 'api')
      const commit = setting.broker.script({ when: COMMIT, then: 'lose-answer' })
      const fence = setting.broker.script({ when: { call: 'InitProducerId' }, then: 'reject', skip: 1 })
      await expect(writer.write(SCOPES, 0)).rejects.toThrow(KafkaError)
      commit.assertFired()
      fence.assertFired()
      expect(written(setting)).toEqual([1])
      await expect(writer.write(SCOPES, 0)).rejects.toMatchObject({ code: 'LOST_UPDATE', current: 1 })
    }),
  )

  test(
    'is found although another writer has gone on from it meanwhile',
    inSetting(async (setting) => {
      const [first, second] = [await writerOn(setting, 'a'), await writerOn(setting, 'b')]
      const lost = setting.broker.script({ when: { ...COMMIT, client: 'a' }, then: 'lose-answer' })
      // `b` takes its turn while `a` waits for its answer in vain.
      const [mine, others] = await Promise.all([
        first.write(SCOPES, 0),
        (async () => {
          while (written(setting).length === 0) await setting.clock.sleep(1)
          return second.write({}, 1)
        })(),
      ])
      lost.assertFired()
      expect([mine.version, others.version]).toEqual([1, 2])
      expect(written(setting)).toEqual([1, 2])
    }),
  )
})

describe('the number of a version (MI-5)', () => {
  test(
    'is one that every reader takes, or nothing is written: a foreign record may have used up the last',
    inSetting(async (setting) => {
      const writer = await writerOn(setting, 'api')
      const last: RuntimeConfig = { version: CONFIG_LIMITS.version, at: 0, scopes: {} }
      const foreigner = await setting.broker.kafka('foreigner').producer()
      await foreigner.send([configBatch(last, SCHEMA_ID)])
      await expect(writer.write(SCOPES, last.version)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
      expect(written(setting)).toEqual([last.version])
    }),
  )
})
