// Topics and offsets over kafkajs's admin client.
import type { Admin as ClientAdmin, Kafka as Client } from 'kafkajs'
import { attempt, untilReady } from './errors.ts'
import { retry } from '../../retry.ts'
import type { Admin, CommittedOffset, OffsetRange, OpenTransaction, TopicDeclaration } from '../port.ts'
import { TransactionInspector } from './transactions.ts'

/** Kafka's number for a topic in DescribeConfigs and AlterConfigs. */
const TOPIC_RESOURCE = 2

/** As long as leaders take to serve after a topic's creation or a broker's restart. kafkajs gives up at once on some. */
const LEADERS = { forMs: 10_000, backoff: { baseMs: 50, capMs: 200 } }

export class KafkaJsAdmin implements Admin {
  readonly #admin: ClientAdmin
  readonly #replication: number
  readonly #transactions: TransactionInspector

  private constructor(admin: ClientAdmin, replication: number, transactions: TransactionInspector) {
    this.#admin = admin
    this.#replication = replication
    this.#transactions = transactions
  }

  static async connect(kafka: Client, replication: number): Promise<KafkaJsAdmin> {
    const admin = kafka.admin()
    await attempt('connecting to Kafka', () => admin.connect())
    return new KafkaJsAdmin(admin, replication, new TransactionInspector(kafka))
  }

  async ensureTopics(topics: readonly TopicDeclaration[]): Promise<void> {
    await attempt('creating topics', async () => {
      const existing = new Set(await this.#admin.listTopics())
      const missing = topics.filter(({ name }) => !existing.has(name))
      if (missing.length > 0) {
        await this.#admin.createTopics({
          // The client would ask one broker, once; in a cluster that one may not know the topic yet.
          waitForLeaders: false,
          topics: missing.map(({ name, partitions, configs }) => ({
            topic: name,
            numPartitions: partitions,
            replicationFactor: this.#replication,
            configEntries: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
          })),
        })
        // A leader is known before it serves; what is sent in between is partly refused and would be written twice.
        for (const { name } of missing) await this.offsetRanges(name)
      }
      await this.#alignConfigs(topics.filter(({ name }) => existing.has(name)))
    })
  }

  async listTopics(): Promise<string[]> {
    return attempt('listing topics', () => this.#admin.listTopics())
  }

  async partitionCount(topic: string): Promise<number> {
    const { topics } = await attempt(`describing ${topic}`, () => this.#admin.fetchTopicMetadata({ topics: [topic] }))
    return topics[0].partitions.length
  }

  async offsetRanges(topic: string): Promise<OffsetRange[]> {
    const request = (): ReturnType<ClientAdmin['fetchTopicOffsets']> =>
      attempt(`reading the offsets of ${topic}`, () => this.#admin.fetchTopicOffsets(topic))
    const offsets = await retry(request, LEADERS)
    const ranges: OffsetRange[] = []
    for (const { partition, low, high } of offsets) ranges[partition] = { start: Number(low), end: Number(high) }
    return ranges
  }

  highWatermarks(topic: string): Promise<number[]> {
    return this.#transactions.highWatermarks(topic)
  }

  openTransactions(topic: string): Promise<OpenTransaction[]> {
    return this.#transactions.openTransactions(topic)
  }

  async committedOffsets(group: string, topic: string): Promise<(CommittedOffset | null)[]> {
    const [{ partitions }] = await attempt(`reading the committed offsets of ${group}`, () =>
      // The client asks once: right after a start the group's coordinator may still be loading.
      untilReady(() => this.#admin.fetchOffsets({ groupId: group, topics: [topic] })),
    )
    const committed: (CommittedOffset | null)[] = []
    for (const { partition, offset, metadata } of partitions) {
      committed[partition] = Number(offset) < 0 ? null : { offset: Number(offset), metadata: metadata ?? '' }
    }
    return committed
  }

  async close(): Promise<void> {
    await this.#transactions.close()
    await this.#admin.disconnect()
  }

  /** Sets what differs. AlterConfigs replaces all of a topic's settings, so what others set is sent back too. */
  async #alignConfigs(topics: readonly TopicDeclaration[]): Promise<void> {
    if (topics.length === 0) return
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: topics.map(({ name }) => ({ type: TOPIC_RESOURCE, name })),
    })
    const changed = topics.flatMap(({ name, configs }) => {
      const current = resources.find(({ resourceName }) => resourceName === name)?.configEntries ?? []
      const values = new Map(current.map(({ configName, configValue }) => [configName, configValue]))
      if (Object.entries(configs).every(([key, value]) => values.get(key) === value)) return []
      const own = current
        .filter(({ isDefault }) => !isDefault)
        .map(({ configName, configValue }) => [configName, configValue] as const)
      const entries = Object.entries({ ...Object.fromEntries(own), ...configs })
      return [{ type: TOPIC_RESOURCE, name, configEntries: entries.map(([key, value]) => ({ name: key, value })) }]
    })
    if (changed.length > 0) await this.#admin.alterConfigs({ validateOnly: false, resources: changed })
  }
}
