// Connects a command to Kafka and disconnects it; if no broker answers, the error says what to do.
import { type Config, loadConfig } from '../platform/config.ts'
import { ConfigError, KafkaError } from '../platform/errors.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import type { Admin, Kafka } from '../platform/kafka/port.ts'
import { createLog } from '../platform/log.ts'

export interface Connected {
  readonly config: Config
  readonly kafka: Kafka
  readonly admin: Admin
}

export async function withKafka(
  env: Readonly<Record<string, string>>,
  work: (at: Connected) => Promise<void>,
): Promise<void> {
  const config = loadConfig(env)
  const kafka = connectKafka(config, createLog('cli', 'error'))
  let admin
  try {
    admin = await kafka.admin()
  } catch (cause) {
    // It answers, but denies us access.
    if (cause instanceof ConfigError) throw cause
    throw new KafkaError(
      'UNREACHABLE',
      `no broker answers at ${config.KAFKA_BROKERS}: start it by "plumbline up", or set KAFKA_BROKERS`,
      { cause },
    )
  }
  try {
    await work({ config, kafka, admin })
  } finally {
    await admin.close()
  }
}
