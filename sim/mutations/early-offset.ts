// The committed offset is read before the former owner is fenced: what it commits in between is processed twice.
import type { Admin, CommittedOffset, Kafka } from '../../platform/kafka/port.ts'
import { type Mutation, withTransactional } from './mutation.ts'

export const earlyOffset: Mutation = {
  name: 'read the committed offset before fencing',
  wrap: (kafka) => {
    /** What was committed when the latest producer was made, by group and topic. */
    const before = new Map<string, Promise<(CommittedOffset | null)[]>>()
    const asked = new Map<string, { group: string; topic: string }>()
    const readAll = async (): Promise<void> => {
      const admin = await kafka.admin()
      for (const [key, { group, topic }] of asked) before.set(key, admin.committedOffsets(group, topic))
      await Promise.allSettled(before.values())
      await admin.close()
    }
    const withBefore = (admin: Admin & { close(): Promise<void> }): Admin & { close(): Promise<void> } => ({
      ensureTopics: (topics) => admin.ensureTopics(topics),
      listTopics: () => admin.listTopics(),
      partitionCount: (topic) => admin.partitionCount(topic),
      offsetRanges: (topic) => admin.offsetRanges(topic),
      highWatermarks: (topic) => admin.highWatermarks(topic),
      openTransactions: (topic) => admin.openTransactions(topic),
      committedOffsets: (group, topic) => {
        const key = `${group} ${topic}`
        asked.set(key, { group, topic })
        const known = before.get(key)
        before.delete(key)
        return known ?? admin.committedOffsets(group, topic)
      },
      close: () => admin.close(),
    })
    const changed: Kafka = {
      ...withTransactional(kafka, async (options) => {
        const producer = await kafka.transactionalProducer(options)
        await readAll()
        return producer
      }),
      admin: async () => withBefore(await kafka.admin()),
    }
    return changed
  },
  seeds: [36, 242],
}
