// What a broker does to a record batch between producer and consumer, for tests of everything that reads batches:
// it gives base offset and arrival time, and a producer or the broker may have compressed the records.
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import type { HeaderInput, RecordBatchBuilder } from './builder.ts'
import { RecordBatchBuilder as Builder } from './builder.ts'
import { HEADER_BYTES, RecordBatch } from './record-batch.ts'

export interface TestRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers?: readonly HeaderInput[]
}

export interface StampOptions {
  readonly baseOffset?: number
  /** LogAppendTime; absent: the producer's time stays. */
  readonly appendTime?: number
}

/** Offsets of fields within a batch; see org.apache.kafka.common.record.DefaultRecordBatch. */
export const AT = {
  baseOffset: 0,
  size: 8,
  magic: 16,
  crc: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  maxTimestamp: 35,
  producerId: 43,
  count: 57,
} as const

export const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd', 'snappy-xerial'] as const
export type Codec = (typeof CODECS)[number]

/** A copy of a finished batch as the broker keeps it. */
export function stamped(batch: Uint8Array, { baseOffset = 0, appendTime }: StampOptions = {}): Buffer {
  const copy = Buffer.from(batch)
  copy.writeBigInt64BE(BigInt(baseOffset), AT.baseOffset)
  if (appendTime !== undefined) {
    copy.writeInt16BE(copy.readInt16BE(AT.attributes) | 0x08, AT.attributes)
    copy.writeBigInt64BE(BigInt(appendTime), AT.maxTimestamp)
  }
  return sealed(copy)
}

/** Makes size and checksum right again after a change; changes its argument. */
export function sealed(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - 12, AT.size)
  batch.writeUInt32BE(crc32c(batch.subarray(AT.attributes)), AT.crc)
  return batch
}

/** The batch with its records section replaced, sealed. */
export function withRecords(batch: Buffer, records: Buffer, codec = 0): Buffer {
  const changed = Buffer.concat([batch.subarray(0, HEADER_BYTES), records])
  changed.writeInt16BE((changed.readInt16BE(AT.attributes) & ~0x07) | codec, AT.attributes)
  return sealed(changed)
}

export function compressed(batch: Buffer, codec: Codec): Buffer {
  const records = batch.subarray(HEADER_BYTES)
  switch (codec) {
    case 'none':
      return batch
    case 'gzip':
      return withRecords(batch, gzipSync(records), 1)
    case 'snappy':
      return withRecords(batch, compressSync(records) as Buffer, 2)
    case 'snappy-xerial':
      return withRecords(batch, xerial(records), 2)
    case 'lz4':
      return withRecords(batch, compressFrameSync(records), 3)
    case 'zstd':
      return withRecords(batch, zstdCompressSync(records), 4)
  }
}

/** Snappy as Java producers send it: a header, then blocks with their length in front. */
function xerial(records: Buffer, blockBytes = 1024): Buffer {
  const header = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1])
  const parts: Buffer[] = [header]
  for (let at = 0; at < records.length; at += blockBytes) {
    const block = compressSync(records.subarray(at, at + blockBytes)) as Buffer
    const length = Buffer.alloc(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

export function builderOf(records: readonly TestRecord[]): RecordBatchBuilder {
  const builder = new Builder()
  for (const { key, value, headers } of records) builder.add(key, value, headers)
  return builder
}

/** A batch of these records as a consumer gets it. */
export function recordBatchOf(records: readonly TestRecord[], options: StampOptions = {}): RecordBatch {
  return new RecordBatch(stamped(builderOf(records).finish(options.appendTime ?? 0, -1n, -1, -1, false), options))
}
