// What the broker does to record batches: it reads their header, assigns offset and time, and writes control batches
// of its own. Format v2, as in platform/kafka/record-batch/builder.ts.
// Source: org.apache.kafka.common.record.DefaultRecordBatch.
import { crc32c } from '@node-rs/crc32'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'

const AT = {
  baseOffset: 0,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  firstSequence: 53,
  count: 57,
} as const
const LOG_APPEND_TIME = 0x08
const TRANSACTIONAL = 0x10
const CONTROL = 0x20

export interface BatchHeader {
  readonly lastOffsetDelta: number
  readonly producerId: bigint
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly transactional: boolean
}

export const NO_PRODUCER = -1n

export function readHeader(batch: Buffer): BatchHeader {
  return {
    lastOffsetDelta: batch.readInt32BE(AT.lastOffsetDelta),
    producerId: batch.readBigInt64BE(AT.producerId),
    producerEpoch: batch.readInt16BE(AT.producerEpoch),
    firstSequence: batch.readInt32BE(AT.firstSequence),
    transactional: (batch.readInt16BE(AT.attributes) & TRANSACTIONAL) !== 0,
  }
}

/** On a topic with LogAppendTime. */
export const appendedAtMs = (batch: Buffer): number => Number(batch.readBigInt64BE(AT.maxTimestamp))

/** Assigns a batch its offset and, on a topic with LogAppendTime, its time; mutates its argument. */
export function stamp(batch: Buffer, baseOffset: number, appendTimeMs: number | null): void {
  batch.writeBigInt64BE(BigInt(baseOffset), AT.baseOffset)
  if (appendTimeMs !== null) {
    batch.writeInt16BE(batch.readInt16BE(AT.attributes) | LOG_APPEND_TIME, AT.attributes)
    batch.writeBigInt64BE(BigInt(appendTimeMs), AT.maxTimestamp)
  }
  seal(batch)
}

/** A batch of one marker that ends a producer's transaction; not stamped yet. */
export function controlBatch(producerId: bigint, epoch: number, commit: boolean, timeMs: number): Buffer {
  const builder = new RecordBatchBuilder()
  // Version 0 and the type: 0 abort, 1 commit. The value is a version and the coordinator's epoch.
  builder.add(Buffer.from([0, 0, 0, commit ? 1 : 0]), Buffer.from([0, 0, 0, 0, 0, 0]))
  const batch = builder.finish(timeMs, producerId, epoch, -1, true)
  batch.writeInt16BE(batch.readInt16BE(AT.attributes) | CONTROL, AT.attributes)
  return batch
}

/** The batch with some of its records (bytes unchanged, deltas included); offsets and everything else stay. */
export function withRecords(batch: Buffer, headerBytes: number, records: readonly Buffer[]): Buffer {
  const smaller = Buffer.concat([batch.subarray(0, headerBytes), ...records])
  smaller.writeInt32BE(smaller.length - 12, 8)
  smaller.writeInt32BE(records.length, AT.count)
  seal(smaller)
  return smaller
}

function seal(batch: Buffer): void {
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)), AT.crc)
}
