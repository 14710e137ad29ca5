// Distinguishes readings by a 52-bit hash of their bytes. It need not resist attacks (a sender can only lose
// its own readings), but it runs for every reading, so it is a few operations per four bytes and nothing native.

/**
 * MurmurHash3's rounds (A. Appleby, public domain) with two seeds over bytes[at, at + length).
 * @returns a whole number from 0 to 2^52 - 1
 */
export function contentHash(bytes: Uint8Array, at: number, length: number): number {
  let low = 0x9747b28c ^ length
  let high = 0x3c6ef372 ^ length
  const end = at + length
  const blocksEnd = end - (length & 3)
  for (let i = at; i < blocksEnd; i += 4) {
    const word = bytes[i] | (bytes[i + 1] << 8) | (bytes[i + 2] << 16) | (bytes[i + 3] << 24)
    low = round(low, word, 0xcc9e2d51)
    high = round(high, word, 0x85ebca6b)
  }
  for (let i = blocksEnd; i < end; i += 1) {
    low = round(low, bytes[i], 0xcc9e2d51)
    high = round(high, bytes[i], 0x85ebca6b)
  }
  return (finish(high) & 0xfffff) * 2 ** 32 + finish(low)
}

function round(h: number, word: number, factor: number): number {
  const k = Math.imul(word, factor)
  const mixed = h ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
