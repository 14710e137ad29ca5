// The former owner is not fenced before the committed offset is read: its transaction may still be committed, and then
// the same records are processed again. (The first transaction initialises the id, as connecting does.)
import { type Mutation, withTransactional } from './mutation.ts'

export const skipFencing: Mutation = {
  name: 'skip the fencing',
  wrap: (kafka) =>
    withTransactional(kafka, async (options) => {
      const producer = await kafka.transactionalProducer(options)
      return { fence: async () => undefined, begin: () => producer.begin(), close: () => producer.close() }
    }),
  seeds: [6, 7],
}
