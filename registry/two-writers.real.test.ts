// Two registries on one topic, as after a takeover that came too early: the topic's order decides, nobody's schema
// gets another's id, and both come to the same state. And a write whose outcome is in doubt may be repeated.
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig } from '../platform/config.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { createLog } from '../platform/log.ts'
import { startTestKafka, type TestKafka } from '../test/fixtures/kafka.ts'
import { candidateOf, register } from './core/decide.ts'
import { Registry } from './registry.ts'
import { SchemaLog } from './schema-log.ts'

let kafka: TestKafka
const logs: SchemaLog[] = []
const open = async (): Promise<SchemaLog> => {
  const log = createLog('test', 'error')
  const schemas = await SchemaLog.open(connectKafka(loadConfig({ KAFKA_BROKERS: kafka.brokers }), log), log)
  logs.push(schemas)
  return schemas
}
const schema = (n: number): string => JSON.stringify({ type: 'record', name: 'R', fields: [], n })
const write = (registry: Registry, subject: string, n: number): Promise<{ id: number }> =>
  registry.write((state) => register(state, candidateOf(subject, { schema: schema(n) })))
const picture = (log: SchemaLog): unknown[] =>
  log.state.subjects(true).flatMap((subject) => log.state.versions(subject, true))

beforeAll(async () => {
  kafka = await startTestKafka()
})
afterAll(async () => {
  await Promise.all(logs.map((log) => log.close()))
  await kafka?.stop()
})

describe('two registries on one topic', () => {
  it('agree on ids, whichever writes first', async () => {
    const [first, second] = [await open(), await open()]
    const registries = [new Registry(first), new Registry(second)]
    const answers = await Promise.all(
      Array.from({ length: 120 }, async (_, i) => ({
        n: i % 40,
        ...(await write(registries[i % 2], `s-${i % 3}-${i % 2}`, i % 40)),
      })),
    )
    const idsOf = (n: number): Set<number> => new Set(answers.filter((answer) => answer.n === n).map(({ id }) => id))
    const perSchema = Array.from({ length: 40 }, (_, n) => [...idsOf(n)])
    // A schema that both wrote at the same moment may have two ids; an id never has two schemas.
    expect(new Set(perSchema.flat()).size).toBe(perSchema.flat().length)
    for (const { n, id } of answers)
      expect(first.state.byId(id)?.schema ?? second.state.byId(id)?.schema).toBe(schema(n))
    await Promise.all([first.catchUp(), second.catchUp()])
    expect(picture(first)).toEqual(picture(second))
    expect(picture(await open())).toEqual(picture(first))
  })

  it('answers a write in doubt with an error, and the repeated one with the same id', async () => {
    const log = await open()
    const registry = new Registry(log)
    await kafka.freeze()
    const doubtful = write(registry, 'doubt', 1_000).then(
      ({ id }) => id,
      (error: { errorCode?: number }) => error.errorCode,
    )
    const timer = setTimeout(() => void kafka.thaw(), 12_000)
    const outcome = await doubtful
    clearTimeout(timer)
    await kafka.thaw()
    const { id } = await write(registry, 'doubt', 1_000)
    expect([50001, id]).toContain(outcome)
    expect((await write(registry, 'doubt', 1_000)).id).toBe(id)
    expect(log.state.versions('doubt', true).map((value) => value.id)).toEqual([id])
  })
})
