// The simulation is put to the test: each bug must be found, by a seed at which the code without it passes (sim.test.ts
// runs them all). `make sim-mutations` looks for more seeds.
import { describe, expect, it } from 'vitest'
import { runSeed } from '../run.ts'
import { MUTATIONS } from './all.ts'

describe('mutations', () => {
  it.each(MUTATIONS)('finds: $name', { timeout: 120_000 }, async ({ wrap, seeds }) => {
    expect(seeds.length).toBeGreaterThan(0)
    const found: number[] = []
    for (const seed of seeds) {
      expect({ seed, failures: (await runSeed(seed)).failures }).toEqual({ seed, failures: [] })
      if ((await runSeed(seed, { wrap })).failures.length > 0) found.push(seed)
      if (found.length > 0) break
    }
    expect(found.length).toBeGreaterThan(0)
  })
})
