// Which partition a key belongs to: Kafka's murmur2 of the key, as the Java producer's default and librdkafka's
// murmur2_random have it, so that keyed records of any producer of one sensor meet in one partition.
// Source: org.apache.kafka.common.utils.Utils.murmur2 and BuiltInPartitioner.partitionForKey.

const SEED = 0x9747b28c
const M = 0x5bd1e995

/** MurmurHash2 of bytes[at, at + length), signed 32 bits as Java has it. */
export function murmur2(bytes: Uint8Array, at: number, length: number): number {
  let h = SEED ^ length
  const blocksEnd = at + (length & ~3)
  let i = at
  for (; i < blocksEnd; i += 4) {
    let k = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    k = Math.imul(k, M)
    k = Math.imul(k ^ (k >>> 24), M)
    h = Math.imul(h, M) ^ k
  }
  const rest = length & 3
  if (rest === 3) h ^= bytes[i + 2] << 16
  if (rest >= 2) h ^= bytes[i + 1] << 8
  if (rest >= 1) h = Math.imul(h ^ bytes[i], M)
  h = Math.imul(h ^ (h >>> 13), M)
  return h ^ (h >>> 15)
}

/** The partition of a whole key. */
export const partitionOfKey = (key: Uint8Array, partitions: number): number =>
  partitionOf(key, 0, key.length, partitions)

/** The partition of a key stored in bytes[at, at + length). */
export function partitionOf(bytes: Uint8Array, at: number, length: number, partitions: number): number {
  return (murmur2(bytes, at, length) & 0x7fffffff) % partitions
}
