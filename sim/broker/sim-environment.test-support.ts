// A simulated broker with a clock of its own, for tests: time passes only while a body runs.
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
