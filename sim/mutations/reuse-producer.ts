// A producer whose transaction failed is reused: what was in flight when it failed belongs to the same epoch, and may
// arrive in the middle of a later transaction. The state is discarded and restored, as it should be.
import type { Transaction, TransactionalProducer } from '../../platform/kafka/port.ts'
import { type Mutation, withTransactional } from './mutation.ts'

export const reuseProducer: Mutation = {
  name: 'reuse a producer after an error',
  wrap: (kafka) => {
    const producers = new Map<string, TransactionalProducer>()
    return withTransactional(kafka, async (options) => {
      const id = options.transactionalId
      const producer = producers.get(id) ?? (await kafka.transactionalProducer(options))
      producers.set(id, producer)
      return reusable(producer, () => producers.delete(id))
    })
  },
  seeds: [6, 8],
}

function reusable(producer: TransactionalProducer, forget: () => void): TransactionalProducer {
  let open: Transaction | null = null
  return {
    fence: async () => {
      try {
        await producer.fence()
      } catch (error) {
        // Another process owns the id, or the object is unusable: such errors could not be missed.
        forget()
        throw error
      }
    },
    begin: async () => (open = await producer.begin()),
    close: async () => {
      await open?.abort().catch(() => undefined)
    },
  }
}
