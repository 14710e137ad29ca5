// The transactional id is per process instead of per partition: a partition that moves has two writers, neither of which
// fences the other.
import { type Mutation, withTransactional } from './mutation.ts'

export const twoWriters: Mutation = {
  name: 'two transactional writers share a partition',
  wrap: (kafka, process) =>
    withTransactional(kafka, (options) =>
      kafka.transactionalProducer({ ...options, transactionalId: `${options.transactionalId}-of-${process}` }),
    ),
  seeds: [16, 95],
}
