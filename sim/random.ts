// A run's randomness: every part draws from its own stream, derived from the seed and the part's name, so an extra draw
// in one part does not change the others.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'

/** Uniform in [0, 1). */
export type Random = () => number

export function randomOf(seed: number, part: string): Random {
  let hash = seed | 0
  for (let i = 0; i < part.length; i += 1) hash = (Math.imul(hash, 31) + part.charCodeAt(i)) | 0
  const generator = xoroshiro128plus(Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) ^ seed)
  return () => uniformFloat64(generator)
}

/** A whole number in [from, to]. */
export const whole = (random: Random, from: number, to: number): number => from + Math.floor(random() * (to - from + 1))

export const chance = (random: Random, probability: number): boolean => random() < probability

export const pick = <T>(random: Random, among: readonly T[]): T => among[Math.floor(random() * among.length)]
