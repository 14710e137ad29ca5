// Distinguishes readings by a 52-bit hash of their bytes. It need not resist attacks (a sender can only lose
// its own readings), but it runs for every reading, so it is a few operations per four bytes and nothing native.
import { finish, mix } from '../../../platform/codec/mix.ts'

/** Of the upper half. */
const HIGH_FACTOR = 0x85ebca6b

/**
 * MurmurHash3's rounds with two seeds and two factors over bytes[at, at + length).
 * @returns a whole number from 0 to 2^52 - 1
 */
export function contentHash(bytes: Uint8Array, at: number, length: number): number {
  let low = 0x9747b28c ^ length
  let high = 0x3c6ef372 ^ length
  const end = at + length
  const blocksEnd = end - (length & 3)
  for (let i = at; i < blocksEnd; i += 4) {
    const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    low = mix(low, word)
    high = mix(high, word, HIGH_FACTOR)
  }
  for (let i = blocksEnd; i < end; i += 1) {
    low = mix(low, bytes[i])
    high = mix(high, bytes[i], HIGH_FACTOR)
  }
  return (finish(high) & 0xfffff) * 2 ** 32 + finish(low)
}
