// The scenarios of third parties, copies and retention do happen, and are told apart: what a check of a run cannot see.
import { describe, expect, it } from 'vitest'
import { runSeed } from './run.ts'
import { scenarioOf } from './scenario.ts'

const SEEDS_MAX = 300
const SEEDS = Array.from({ length: SEEDS_MAX }, (_, i) => i + 1)

/** The first seeds of a kind, in which the rare event must happen at least once. */
async function seen(sight: string, seeds: readonly number[], triesMax: number): Promise<boolean> {
  for (const seed of seeds.slice(0, triesMax)) {
    const { sights, failures } = await runSeed(seed)
    expect({ seed, failures }).toEqual({ seed, failures: [] })
    if (sights.includes(sight)) return true
  }
  return false
}

describe('scenarios (K2, faults 2)', { timeout: 300_000 }, () => {
  it('T3: while a foreign transaction is open, answers that depend on its partition are refused, and others are not', async () => {
    const isOpen = (seed: number): boolean => {
      const { habits, chaos, partitions } = scenarioOf(seed)
      return habits.includes('open-transactions') && !chaos.includes('clock-step') && partitions > 1
    }
    expect(await seen('answers are refused for its partition alone', SEEDS.filter(isOpen), 25)).toBe(true)
  })

  it.each(['raw', 'clean', 'extents'])(
    'T2: what retention removes of %s before it is read stops its reader, which names the place',
    async (cut) => {
      const seeds = SEEDS.filter((seed) => scenarioOf(seed).cut === cut)
      expect(await seen(`the reader of ${cut} stops and says where`, seeds, 10)).toBe(true)
    },
  )
})
