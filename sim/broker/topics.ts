// The topics of the simulated broker and the settings it honours: who sets the timestamp, how large a batch may be.
import type { TopicDeclaration, TopicPartition } from '../../platform/kafka/port.ts'
import { refused } from './errors.ts'
import { PartitionLog } from './log.ts'

/** The real broker's default of max.message.bytes. */
const BATCH_BYTES_MAX = 1_048_588

export interface Topic {
  readonly partitions: readonly PartitionLog[]
  configs: Readonly<Record<string, string>>
}

export class Topics {
  readonly #topics = new Map<string, Topic>()
  /** See SimBroker.hideRemovals; of topics that are created from now on. */
  hidesRemovals = false

  names(): string[] {
    return [...this.#topics.keys()]
  }

  /** Creates missing topics; existing ones get the new settings and keep their partitions. */
  ensure({ name, partitions, configs }: TopicDeclaration): void {
    const existing = this.#topics.get(name)
    if (existing !== undefined) {
      existing.configs = { ...existing.configs, ...configs }
      return
    }
    const appendTime = configs['message.timestamp.type'] === 'LogAppendTime'
    const logs = Array.from({ length: partitions }, (_, partition) => new PartitionLog(name, partition, appendTime))
    for (const log of logs) log.hidesRemovals = this.hidesRemovals
    this.#topics.set(name, { partitions: logs, configs })
  }

  /** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION */
  topic(name: string): Topic {
    const topic = this.#topics.get(name)
    if (topic === undefined) throw refused('UNKNOWN_TOPIC_OR_PARTITION', `there is no topic ${name}`, { topic: name })
    return topic
  }

  /** @throws KafkaError UNKNOWN_TOPIC_OR_PARTITION */
  log({ topic, partition }: TopicPartition): PartitionLog {
    const log = this.topic(topic).partitions.find((one) => one.partition === partition)
    if (log === undefined)
      throw refused('UNKNOWN_TOPIC_OR_PARTITION', `${topic} has no partition ${partition}`, { topic, partition })
    return log
  }

  /** @throws KafkaError MESSAGE_TOO_LARGE */
  checkSize(at: TopicPartition, bytes: number): void {
    const limit = Number(this.topic(at.topic).configs['max.message.bytes'] ?? BATCH_BYTES_MAX)
    if (bytes > limit) throw refused('MESSAGE_TOO_LARGE', `a batch of ${bytes} bytes; ${at.topic} takes ${limit}`, at)
  }
}
