// Decompression of record batches that other producers compressed. Ours are sent as they are (see ENGINEERING_NOTES
// for the measurement), but a broker or a foreign producer may choose any of Kafka's four codecs.
import { gunzipSync, zstdDecompressSync } from 'node:zlib'
import { decompressFrameSync } from 'lz4-napi'
import { uncompressSync } from 'snappy'
import { KafkaError } from '../../errors.ts'

/**
 * A batch may not unpack to more than this: a small batch must not be able to fill the memory. The broker takes 1 MiB of
 * a producer's compressed batch, and telemetry packs 5 to 20 times. One that is larger is unreadable as a whole.
 */
const MAX_UNPACKED_BYTES = 32 * 1024 * 1024
const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const XERIAL_HEADER_BYTES = 16

/**
 * @param codec Kafka's number: 1 gzip, 2 snappy, 3 lz4, 4 zstd
 * @throws KafkaError CORRUPT_BATCH
 */
export function decompress(codec: number, bytes: Buffer): Buffer {
  try {
    return unpack(codec, bytes)
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
      expectBounded(lz4UnpackedMax(bytes))
      return decompressFrameSync(bytes)
    case 4:
      return zstdDecompressSync(bytes, { maxOutputLength: MAX_UNPACKED_BYTES })
    default:
      throw new RangeError(`unknown codec ${codec}`)
  }
}

/** The snappy and lz4 libraries take no limit, so the unpacked size is checked before they allocate anything. */
function expectBounded(unpackedBytes: number): void {
  if (unpackedBytes > MAX_UNPACKED_BYTES)
    throw new RangeError(`would unpack to ${unpackedBytes} bytes; the limit is ${MAX_UNPACKED_BYTES}`)
}

/** Java producers wrap snappy blocks in xerial's stream format; librdkafka sends one raw block. */
function unpackSnappy(bytes: Buffer): Buffer {
  const blocks = bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC) ? xerialBlocks(bytes) : [bytes]
  expectBounded(blocks.reduce((sum, block) => sum + snappyUnpacked(block), 0))
  const unpacked = blocks.map((block) => uncompressSync(block) as Buffer)
  return unpacked.length === 1 ? unpacked[0] : Buffer.concat(unpacked)
}

function xerialBlocks(bytes: Buffer): Buffer[] {
  const blocks: Buffer[] = []
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length;) {
    const length = bytes.readInt32BE(at)
    if (length <= 0 || length > bytes.length - at - 4) throw new RangeError(`block of ${length} bytes`)
    blocks.push(bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  return blocks
}

/** A snappy block begins with its unpacked length as an unsigned varint of at most 32 bits. */
function snappyUnpacked(block: Buffer): number {
  let length = 0
  for (let i = 0; i < 5 && i < block.length; i += 1) {
    length += (block[i] & 0x7f) * 128 ** i
    if (block[i] < 0x80) return length
  }
  throw new RangeError('a snappy block without a length')
}

const LZ4_MAGIC = 0x184d2204
const LZ4_RAW_BLOCK = 0x80000000
/** A match-length byte covers at most 255 bytes: LZ4 cannot compress further. */
const LZ4_RATIO_MAX = 255

/**
 * What an LZ4 frame can unpack to at most. Its content size may be absent and may lie; but its blocks say how long they
 * are, and none unpacks to more than the frame's block size. Kafka's writers fill every block but the last, so for
 * them the bound is near the truth. Source: LZ4 Frame Format Description 1.6.
 */
function lz4UnpackedMax(frame: Buffer): number {
  if (frame.readUInt32LE(0) !== LZ4_MAGIC) throw new RangeError('not an LZ4 frame')
  const flags = frame[4]
  const blockBytesMax = 4 ** ((frame.readUInt8(5) >> 4) & 0x07) * 256 // 4: 64 KiB … 7: 4 MiB
  const checksumBytes = (flags & 0x10) === 0 ? 0 : 4
  let at = 7 + ((flags & 0x08) === 0 ? 0 : 8) + ((flags & 0x01) === 0 ? 0 : 4)
  let sum = 0
  for (;;) {
    const size = frame.readUInt32LE(at)
    if (size === 0) return sum
    const bytes = size % LZ4_RAW_BLOCK
    sum += size >= LZ4_RAW_BLOCK ? bytes : Math.min(blockBytesMax, bytes * LZ4_RATIO_MAX)
    at += 4 + bytes + checksumBytes
  }
}
