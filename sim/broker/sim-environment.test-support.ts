// A simulated broker with its own clock, for its tests: time passes only while a body runs. One topic, one group and
// shorthands for what the tests do with them.
import type { Kafka, TopicPartition, TransactionalProducer } from '../../platform/kafka/port.ts'
import type { PortEnvironment } from '../../platform/kafka/port-contract.test-support.ts'
import { VirtualClock } from '../clock.ts'
import { randomOf } from '../random.ts'
import { SimBroker } from './broker.ts'
import type { BrokerFaults } from './faults.ts'

const EVENTS_MAX = 1_000_000

export class SimSetting {
  readonly clock: VirtualClock
  readonly broker: SimBroker

  constructor(seed: number, faults: Partial<BrokerFaults> = {}) {
    this.clock = new VirtualClock(randomOf(seed, 'clock'))
    this.broker = new SimBroker({ clock: this.clock, random: randomOf(seed, 'broker'), faults })
  }

  run<T>(body: () => Promise<T>): Promise<T> {
    return this.clock.run(body(), EVENTS_MAX)
  }
}

export async function makeSimEnvironment(): Promise<PortEnvironment> {
  const setting = new SimSetting(1)
  const { clock, broker } = setting
  return {
    kafka: broker.kafka('contract'),
    now: () => clock.now(),
    sleep: (ms) => clock.sleep(ms),
    run: (body) => setting.run(body),
    clean: (topic) => broker.compact(topic),
    close: async () => undefined,
  }
}

export const TOPIC = 't'
export const AT: TopicPartition = { topic: TOPIC, partition: 0 }
export const GROUP = 'g'

export async function prepared(broker: SimBroker, partitions = 1): Promise<Kafka> {
  const kafka = broker.kafka('a')
  await (await kafka.admin()).ensureTopics([{ name: TOPIC, partitions, configs: {} }])
  return kafka
}

/** A test's body in a setting of its own. */
export const inSetting =
  (body: (setting: SimSetting, kafka: Kafka) => Promise<void>, partitions = 1) =>
  async () => {
    const setting = new SimSetting(7)
    await setting.run(async () => body(setting, await prepared(setting.broker, partitions)))
  }

export const owner = (kafka: Kafka, id = 'id'): Promise<TransactionalProducer> =>
  kafka.transactionalProducer({ transactionalId: id, transactionTimeoutMs: 10_000 })

export const fates = (broker: SimBroker): string[] =>
  broker.dump(TOPIC).map(({ offset, value, fate }) => `${offset} ${String(value)} ${fate}`)
