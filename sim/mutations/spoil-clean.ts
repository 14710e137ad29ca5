// Two bugs that only the audit can catch: a reading of a transaction is left out of clean, and one goes to clean with a
// different value. Refine's ledger, its offsets and the extents show neither.
import { FRAME_BYTES, type Reading, readingType } from '../../platform/codec/reading.ts'
import type { OutgoingBatch } from '../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { CLEAN } from '../../schemas/topics.ts'
import { type Mutation, withTransactional, withTransactions } from './mutation.ts'

/** Writes a record into the replacement batch, or leaves it out. */
type Spoil = (copy: RecordBatchBuilder, key: Buffer, value: Buffer) => void

/** Which of the batches that a process sends to clean is corrupted. */
const SPOILT_BATCH = 5

function spoiling(name: string, spoil: Spoil, seeds: readonly number[]): Mutation {
  return {
    name,
    wrap: (kafka) => {
      let batches = 0
      const change = (batch: OutgoingBatch): OutgoingBatch => {
        if (batch.topic !== CLEAN || (batches += 1) !== SPOILT_BATCH) return batch
        return { ...batch, records: copied(batch.records, spoil) }
      }
      return withTransactional(kafka, async (options) =>
        withTransactions(await kafka.transactionalProducer(options), (transaction) => ({
          send: (outgoing) => transaction.send(outgoing.map(change)),
          sendOffsets: (group, offsets) => transaction.sendOffsets(group, offsets),
          commit: () => transaction.commit(),
          abort: () => transaction.abort(),
        })),
      )
    },
    seeds,
  }
}

/** The first record is corrupted. */
function copied(records: RecordBatchBuilder, spoil: Spoil): RecordBatchBuilder {
  const batch = new RecordBatch(Buffer.from(records.finish(0, -1n, 0, -1, false)), 0)
  const copy = new RecordBatchBuilder()
  for (let i = 0; i < batch.count; i += 1) {
    const key = batch.key(i)!
    const value = batch.value(i)!
    if (i === 0) spoil(copy, key, value)
    else copy.add(key, value)
  }
  return copy
}

export const leaveOutReading = spoiling('leave a reading out of clean', () => undefined, [1, 2])

export const rewriteValue = spoiling(
  'rewrite a value in clean',
  (copy, key, value) => {
    const reading = readingType.fromBuffer(value.subarray(FRAME_BYTES)) as Reading
    const changed = readingType.toBuffer({ ...reading, voltage_v: 1 })
    copy.add(key, Buffer.concat([value.subarray(0, FRAME_BYTES), changed]))
  },
  [1, 2],
)
