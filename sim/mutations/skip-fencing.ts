// The former owner is not fenced before the committed offset is read: its transaction may still be committed, and then
// the same records are worked through again. (The id is initialised by the first transaction, as connecting does it.)
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
