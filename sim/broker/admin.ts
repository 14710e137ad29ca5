// Topics and offsets. The client itself retries all of these while the connection is broken; committed offsets are those
// of finished transactions whose markers have arrived, whether or not another commit is in progress.
import type {
  Admin,
  CommittedOffset,
  OffsetRange,
  OpenTransaction,
  TopicDeclaration,
} from '../../platform/kafka/port.ts'
import type { Link } from './link.ts'

export class SimAdmin implements Admin {
  readonly #link: Link

  constructor(link: Link) {
    this.#link = link
  }

  async ensureTopics(topics: readonly TopicDeclaration[]): Promise<void> {
    const names = topics.map(({ name }) => name)
    await this.#link.call({ call: 'CreateTopics', topics: names, patient: true }, () => {
      for (const topic of topics) this.#link.server.topics.ensure(topic)
    })
  }

  async listTopics(): Promise<string[]> {
    return this.#link.call({ call: 'Metadata', patient: true }, () => this.#link.server.topics.names())
  }

  async partitionCount(topic: string): Promise<number> {
    return this.#link.call({ call: 'Metadata', topics: [topic], patient: true }, () => this.#partitions(topic).length)
  }

  async offsetRanges(topic: string): Promise<OffsetRange[]> {
    return this.#link.call({ call: 'ListOffsets', topics: [topic], patient: true }, () =>
      this.#partitions(topic).map(({ start, lastStableOffset }) => ({ start, end: lastStableOffset })),
    )
  }

  async highWatermarks(topic: string): Promise<number[]> {
    return this.#link.call({ call: 'ListOffsets', topics: [topic], patient: true }, () =>
      this.#partitions(topic).map(({ end }) => end),
    )
  }

  async openTransactions(topic: string): Promise<OpenTransaction[]> {
    return this.#link.call({ call: 'Metadata', topics: [topic], patient: true }, () =>
      this.#partitions(topic).flatMap((log) =>
        log.openTransactions().map(({ producerId, firstOffset }) => {
          const { transactionalId, startMs } = this.#link.server.transactions.describe(producerId)
          const at = { topic, partition: log.partition, firstOffset, producerId: String(producerId) }
          return { ...at, transactionalId, sinceMs: startMs }
        }),
      ),
    )
  }

  async committedOffsets(group: string, topic: string): Promise<(CommittedOffset | null)[]> {
    return this.#link.call({ call: 'OffsetFetch', topics: [topic], patient: true }, () =>
      this.#partitions(topic).map((log) => this.#link.server.group(group).committed(log)),
    )
  }

  async close(): Promise<void> {
    await this.#link.sleep(0)
  }

  #partitions(topic: string) {
    return this.#link.server.topics.topic(topic).partitions
  }
}
