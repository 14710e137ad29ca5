// The adapter to kafkajs on a real broker keeps the port's contract.
import pino from 'pino'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config.ts'
import { startTestKafka } from '../../test/fixtures/kafka.ts'
import { connectKafka } from './kafkajs.ts'
import type { PortEnvironment } from './port-contract.test-support.ts'
import { describeGroups } from './port-contract-groups.test-support.ts'
import { describeLogs } from './port-contract-logs.test-support.ts'

async function makeRealEnvironment(): Promise<PortEnvironment> {
  const broker = await startTestKafka()
  return {
    kafka: connectKafka(loadConfig({ KAFKA_BROKERS: broker.brokers }), pino({ level: 'silent' })),
    now: () => systemClock.now(),
    sleep: (ms) => systemClock.sleep(ms),
    run: (body) => body(),
    close: () => broker.stop(),
  }
}

describeLogs('the real broker', makeRealEnvironment)
describeGroups('the real broker', makeRealEnvironment, { oneOwner: true })
