// The adapter to kafkajs on a real broker keeps the port's contract.
import pino from 'pino'
import { afterAll } from 'vitest'
import { startTestKafka, type TestKafka } from '../../test/fixtures/kafka.ts'
import { systemClock } from '../clock.ts'
import { loadConfig } from '../config.ts'
import { connectKafka } from './kafkajs/client.ts'
import type { PortEnvironment } from './port-contract.test-support.ts'
import { describeGroups } from './port-contract-groups.test-support.ts'
import { describeLogs } from './port-contract-logs.test-support.ts'
import { describeTransactions } from './port-contract-transactions.test-support.ts'

/** The cleaner looks for work every 15 s by default: too long for a test that waits for it. */
const EAGER_CLEANER = { 'log.cleaner.backoff.ms': '200' }

let broker: Promise<TestKafka> | undefined
afterAll(async () => (await broker)?.stop())

async function makeRealEnvironment(): Promise<PortEnvironment> {
  const { brokers } = await (broker ??= startTestKafka(EAGER_CLEANER))
  return {
    kafka: connectKafka(loadConfig({ KAFKA_BROKERS: brokers }), pino({ level: 'silent' })),
    now: () => systemClock.now(),
    sleep: (ms) => systemClock.sleep(ms),
    run: (body) => body(),
    close: () => Promise.resolve(),
  }
}

describeLogs('the real broker', makeRealEnvironment)
describeGroups('the real broker', makeRealEnvironment)
describeTransactions('the real broker', makeRealEnvironment)
