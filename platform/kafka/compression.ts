// Decompression of record batches that other producers compressed. Ours are sent as they are (see ENGINEERING_NOTES
// for the measurement), but a broker or a foreign producer may choose any of Kafka's four codecs.
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { decompressFrameSync } from 'lz4-napi'
import { uncompressSync } from 'snappy'
import { KafkaError } from '../errors.ts'

/** A batch may not unpack to more than this: a small batch must not be able to fill the memory. */
const MAX_UNPACKED_BYTES = 64 * 1024 * 1024
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/**
 * @param codec Kafka's number: 1 gzip, 2 snappy, 3 lz4, 4 zstd
 * @throws KafkaError CORRUPT_BATCH
 */
export function decompress(codec: number, bytes: Buffer): Buffer {
  try {
    const unpacked = unpack(codec, bytes)
    if (unpacked.length > MAX_UNPACKED_BYTES) throw new RangeError(`unpacks to ${unpacked.length} bytes`)
    return unpacked
  } catch (cause) {
    throw new KafkaError('CORRUPT_BATCH', `compressed batch (codec ${codec}) cannot be unpacked`, { cause })
  }
}

function unpack(codec: number, bytes: Buffer): Buffer {
  switch (codec) {
    case 1:
      return gunzipSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
    case 2:
      return unpackSnappy(bytes)
    case 3:
      return decompressFrameSync(bytes)
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
    default:
      throw new RangeError(`unknown codec ${codec}`)
  }
}

/** Java producers wrap snappy blocks in xerial's stream format; librdkafka sends one raw block. */
function unpackSnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return uncompressSync(bytes) as Buffer
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const length = bytes.readInt32BE(at)
    blocks.push(uncompressSync(bytes.subarray(at + 4, at + 4 + length)) as Buffer)
    at += 4 + length
  }
  return Buffer.concat(blocks)
}
