// Bugs of reading raw that only third parties' records show: a batch that cannot be read is passed over without a word;
// every value is read by the schema that the first one had; a reading counts in whichever partition it is.
import type { FetchedBatch, Kafka } from '../../platform/kafka/port.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { RAW } from '../../schemas/topics.ts'
import { DECLARED, OTHERS } from '../registry.ts'
import { type Mutation, withAdmin } from './mutation.ts'

/** The port with what is read of raw changed, live and in replays. */
function readingRaw(kafka: Kafka, change: (batches: readonly RecordBatch[]) => readonly RecordBatch[]): Kafka {
  const changed = (fetched: FetchedBatch): FetchedBatch =>
    fetched.topic === RAW ? { ...fetched, batches: change(fetched.batches) } : fetched
  return {
    ...kafka,
    groupConsumer: (options) => {
      const consumer = kafka.groupConsumer(options)
      return {
        run: (handlers) =>
          consumer.run({
            onAssigned: (partitions, generation) => handlers.onAssigned(partitions, generation),
            onBatch: (fetched, context) => handlers.onBatch(changed(fetched), context),
            onHeartbeat: () => handlers.onHeartbeat?.(),
            onCrash: (error) => handlers.onCrash(error),
          }),
        seek: (at, offset) => consumer.seek(at, offset),
        pause: (at) => consumer.pause(at),
        resume: (at) => consumer.resume(at),
        commit: (at, offset) => consumer.commit(at, offset),
        close: () => consumer.close(),
      }
    },
    rangeReader: async () => {
      const reader = await kafka.rangeReader()
      return {
        read: (at, from, to, onBatch) => reader.read(at, from, to, (fetched) => onBatch(changed(fetched))),
        follow: (at, from, signal, onBatch) => reader.follow(at, from, signal, (fetched) => onBatch(changed(fetched))),
        close: () => reader.close(),
      }
    },
  }
}

export const skipUnreadable: Mutation = {
  name: 'pass over a batch that cannot be read',
  wrap: (kafka) => readingRaw(kafka, (batches) => batches.filter(({ problem }) => problem === null)),
  seeds: [1, 9],
}

const OTHER_IDS = new Set(OTHERS.map(({ id }) => id))

/** A copy of the records, their values under the declared schema's id. */
function underDeclaredId(batch: RecordBatch): RecordBatch {
  const bytes = Buffer.from(batch.bytes)
  for (let i = 0; i < batch.count; i += 1) {
    const at = batch.valueAt(i)
    if (batch.valueLength(i) >= 5 && OTHER_IDS.has(bytes.readInt32BE(at + 1))) bytes.writeInt32BE(DECLARED.id, at + 1)
  }
  return Object.assign(batch, { bytes })
}

export const oneSchema: Mutation = {
  name: 'read every value by one schema',
  wrap: (kafka) => readingRaw(kafka, (batches) => batches.map(underDeclaredId)),
  seeds: [4, 8],
}

export const anyPartition: Mutation = {
  name: 'take a reading in whichever partition it is',
  wrap: (kafka, process) =>
    process.startsWith('refine') ? withAdmin(kafka, () => ({ partitionCount: () => Promise.resolve(0) })) : kafka,
  seeds: [23, 31],
}
