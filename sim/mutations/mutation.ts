// A bug planted between the broker's port and the services: the services stay unchanged, but their requests are executed
// wrongly. If the simulation does not find it, the simulation is too weak. Each is one that a hurried change could
// introduce.
import type {
  Kafka,
  Transaction,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../../platform/kafka/port.ts'

export interface Mutation {
  readonly name: string
  /** The port of one life of a process, with the bug. */
  readonly wrap: (kafka: Kafka, process: string) => Kafka
  /** Seeds that find it, for `make test`; `make sim-mutations` finds others when scenarios change. */
  readonly seeds: readonly number[]
}

/** The port with other transactional producers. */
export const withTransactional = (
  kafka: Kafka,
  make: (options: TransactionalProducerOptions) => Promise<TransactionalProducer>,
): Kafka => ({
  admin: () => kafka.admin(),
  producer: () => kafka.producer(),
  transactionalProducer: make,
  groupConsumer: (options) => kafka.groupConsumer(options),
  rangeReader: () => kafka.rangeReader(),
})

/** The producer with other transactions. */
export const withTransactions = (
  producer: TransactionalProducer,
  change: (transaction: Transaction) => Transaction,
): TransactionalProducer => ({
  fence: () => producer.fence(),
  begin: async () => change(await producer.begin()),
  close: () => producer.close(),
})
