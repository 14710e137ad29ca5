// The adapter from our port to kafkajs 2.2.4: connections, workarounds for what the client does wrong, and the
// translation of its errors. Each kind of client has a file's worth of reasons in ENGINEERING_NOTES; the short ones
// are next to the code.
import type { Kafka as Client, LogEntry, RetryOptions } from 'kafkajs'
import type { Config } from '../../config.ts'
import type { Logger } from '../../log.ts'
import { KafkaJsAdmin } from './admin.ts'
import { KafkaJsGroupConsumer } from './consumer.ts'
import { KafkaJsProducer, KafkaJsTransactionalProducer } from './producer.ts'
import { KafkaJsRangeReader } from './reader.ts'
import { HandshakeWatch, saslOf, type SecuritySettings, tlsOf } from './security.ts'
import { loadClient } from './wire.ts'
import type { Kafka } from '../port.ts'

const client = loadClient()

/**
 * Short initial waits and a low cap: after a broker restart everything is back within about two seconds. About 15 s
 * of attempts in total; then the caller, who knows what may be retried, decides.
 */
const RETRY: RetryOptions = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 18, factor: 0.2, multiplier: 2 }
const CONNECTION_TIMEOUT_MS = 3_000
/** Longer than the broker delays any of our requests, shorter than a transaction may live. */
const REQUEST_TIMEOUT_MS = 9_000

type KafkaSettings = SecuritySettings & Pick<Config, 'KAFKA_BROKERS' | 'TOPIC_REPLICATION'>

/**
 * Creates the port; nothing connects before one of its clients is requested.
 * @throws ConfigError when a TLS file cannot be read or used; its calls reject with one when the broker refuses what is set
 */
export function connectKafka(config: KafkaSettings, log: Logger): Kafka {
  const handshakes = new HandshakeWatch()
  const kafka: Client = new client.Kafka({
    clientId: `plumbline-${process.pid}`,
    brokers: config.KAFKA_BROKERS.split(','),
    ssl: tlsOf(config),
    sasl: saslOf(config),
    socketFactory: handshakes.socketFactory,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    logLevel: client.logLevel.INFO,
    logCreator: () => (entry) => forward(entry, log),
  })
  return {
    admin: () => handshakes.guard(() => KafkaJsAdmin.connect(kafka, config.TOPIC_REPLICATION)),
    producer: () => handshakes.guard(() => KafkaJsProducer.connect(kafka)),
    transactionalProducer: (options) => handshakes.guard(() => KafkaJsTransactionalProducer.connect(kafka, options)),
    groupConsumer: (options) => new KafkaJsGroupConsumer(kafka, client.AssignerProtocol, options),
    rangeReader: () => handshakes.guard(() => KafkaJsRangeReader.connect(kafka)),
  }
}

/** The client logs as errors what its own retries fix, so its logs are demoted one level; what matters is thrown. */
function forward({ level, log: entry }: LogEntry, log: Logger): void {
  const { message, timestamp, logger, stack, ...details } = entry
  const text = `kafka client: ${message}`
  if (level <= client.logLevel.ERROR) log.warn(details, text)
  else log.debug(details, text)
}
