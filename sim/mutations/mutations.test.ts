// Tests the simulation itself: each bug must be found by a seed that passes without it. The named seeds find it quickly
// for now; anything that shifts the interleavings may move it to another seed, within 500.
import { describe, expect, it } from 'vitest'
import { runSeed } from '../run.ts'
import { MUTATIONS } from './all.ts'

const SEEDS_MAX = 500

describe('mutations', () => {
  it.each(MUTATIONS)('finds: $name', { timeout: 600_000 }, async ({ seeds, ...bug }) => {
    const all = [...seeds, ...Array.from({ length: SEEDS_MAX }, (_, i) => i + 1)]
    const found = await firstThat(all, async (seed) => (await runSeed(seed, { bug })).failures.length > 0)
    expect(found).not.toBeNull()
    expect({ found, failures: (await runSeed(found!)).failures }).toEqual({ found, failures: [] })
  })
})

async function firstThat(seeds: readonly number[], finds: (seed: number) => Promise<boolean>): Promise<number | null> {
  for (const seed of seeds) if (await finds(seed)) return seed
  return null
}
