// A failed transaction is treated as committed: the advanced state is kept, so the outputs of the failed one are lost. A
// new producer continues with the next one.
import { KafkaError } from '../../platform/errors.ts'
import { isFenced } from '../../platform/kafka/error-codes.ts'
import type { Transaction, TransactionalProducer } from '../../platform/kafka/port.ts'
import { type Mutation, withTransactional } from './mutation.ts'

export const keepState: Mutation = {
  name: 'keep state past an abort',
  wrap: (kafka) =>
    withTransactional(kafka, async (options) => {
      const make = (): Promise<TransactionalProducer> => kafka.transactionalProducer(options)
      let producer = await make()
      let failed = false
      const renew = async (): Promise<void> => {
        await producer.close().catch(() => undefined)
        producer = await make()
        await producer.fence()
        failed = false
      }
      return {
        fence: () => producer.fence(),
        begin: async () => {
          if (failed) await renew()
          return forgiving(await producer.begin(), () => (failed = true))
        },
        close: () => producer.close(),
      }
    }),
  seeds: [3, 4],
}

/** Fencing is still reported; every other failure is hidden. */
const isFencing = (error: unknown): boolean => error instanceof KafkaError && isFenced(error.code)

function forgiving(transaction: Transaction, onFailure: () => void): Transaction {
  let failed = false
  const attempt = async <T>(fallback: T, run: () => Promise<T>): Promise<T> => {
    if (failed) return fallback
    try {
      return await run()
    } catch (error) {
      if (isFencing(error)) throw error
      failed = true
      onFailure()
      return fallback
    }
  }
  return {
    send: (batches) =>
      attempt(
        batches.map(() => 0),
        () => transaction.send(batches),
      ),
    sendOffsets: (group, offsets) => attempt(undefined, () => transaction.sendOffsets(group, offsets)),
    commit: () => attempt(undefined, () => transaction.commit()),
    abort: () => transaction.abort(),
  }
}
