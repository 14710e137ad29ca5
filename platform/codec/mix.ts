// MurmurHash3's parts for 32 bits (A. Appleby, public domain).

/** One round: takes a word into a hash. @param factor another one makes another hash of the same words */
export function mix(h: number, word: number, factor = 0xcc9e2d51): number {
  const k = Math.imul(word, factor)
  const mixed = h ^ Math.imul((k << 15) | (k >>> 17), 0x1b873593)
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

/** The finalizer: every bit of the input moves every bit of the result, which is unsigned. */
export function finish(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
