// Decisions that can be asked again: a number in [0, 1) that depends on a seed and an index and nothing else. A sender
// that goes back and sends again must decide the same, which a generator that only runs forward cannot give.

/** Finaliser of MurmurHash3 (A. Appleby): every bit of the input moves every bit of the output. */
function mix(value: number): number {
  let h = value | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Uniform in [0, 1). @param index exact up to 2^53 */
export function uniformAt(seed: number, index: number): number {
  const high = Math.floor(index / 2 ** 32)
  return mix(mix(seed ^ Math.imul(high, 0x9e3779b1)) ^ Math.imul(index >>> 0, 0x9e3779b1)) / 2 ** 32
}
