// The committed offset is read before the former owner is fenced: what it commits in between is processed twice.
import type { Admin, CommittedOffset } from '../../platform/kafka/port.ts'
import { type Mutation, withAdmin, withTransactional } from './mutation.ts'

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
    const known = (admin: Admin): Partial<Admin> => ({
      committedOffsets: (group, topic) => {
        const key = `${group} ${topic}`
        asked.set(key, { group, topic })
        const early = before.get(key)
        before.delete(key)
        return early ?? admin.committedOffsets(group, topic)
      },
    })
    return withAdmin(
      withTransactional(kafka, async (options) => {
        const producer = await kafka.transactionalProducer(options)
        await readAll()
        return producer
      }),
      known,
    )
  },
  seeds: [27, 36],
}
