// The extent is sent by a separate producer instead of in the transaction: it remains even if the transaction was
// aborted, and names records that no reader will see.
import type { OutgoingBatch, Producer } from '../../platform/kafka/port.ts'
import { EXTENTS } from '../../schemas/topics.ts'
import { type Mutation, withTransactional, withTransactions } from './mutation.ts'

export const extentOutside: Mutation = {
  name: 'send the extent outside the transaction',
  wrap: (kafka) => {
    let plain: Promise<Producer> | null = null
    const isExtent = ({ topic }: OutgoingBatch): boolean => topic === EXTENTS
    return withTransactional(kafka, async (options) =>
      withTransactions(await kafka.transactionalProducer(options), (transaction) => ({
        send: async (batches) => {
          if (!batches.every(isExtent)) return transaction.send(batches)
          plain ??= kafka.producer()
          return (await plain).send(batches)
        },
        sendOffsets: (group, offsets) => transaction.sendOffsets(group, offsets),
        commit: () => transaction.commit(),
        abort: () => transaction.abort(),
      })),
    )
  },
  seeds: [2, 3],
}
