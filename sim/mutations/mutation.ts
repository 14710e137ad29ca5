// A bug planted around the services (../bug.ts): they stay unchanged, but their requests are executed wrongly. If the simulation does not find it, the simulation is too weak. Each is one that a hurried change could
// introduce.
import type {
  Admin,
  Kafka,
  Transaction,
  TransactionalProducer,
  TransactionalProducerOptions,
} from '../../platform/kafka/port.ts'
import type { Bug } from '../bug.ts'

export interface Mutation extends Bug {
  readonly name: string
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

/** The port with some of the administrator's methods changed. */
export const withAdmin = (kafka: Kafka, change: (admin: Admin) => Partial<Admin>): Kafka => ({
  ...kafka,
  admin: async () => {
    const admin = await kafka.admin()
    return {
      ensureTopics: (topics) => admin.ensureTopics(topics),
      listTopics: () => admin.listTopics(),
      partitionCount: (topic) => admin.partitionCount(topic),
      offsetRanges: (topic) => admin.offsetRanges(topic),
      highWatermarks: (topic) => admin.highWatermarks(topic),
      openTransactions: (topic) => admin.openTransactions(topic),
      committedOffsets: (group, topic) => admin.committedOffsets(group, topic),
      close: () => admin.close(),
      ...change(admin),
    }
  },
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
