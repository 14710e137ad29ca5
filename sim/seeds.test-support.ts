// Seeds as tests, several per test: a failing one is reported with what was wrong and what had happened before.
import { expect, it } from 'vitest'
import { runSeed } from './run.ts'

const SEEDS_PER_TEST = 25
const TIMEOUT_MS = 300_000

export function itHoldsInSeeds(from: number, to: number): void {
  for (let first = from; first <= to; first += SEEDS_PER_TEST) {
    const last = Math.min(to, first + SEEDS_PER_TEST - 1)
    it(
      `DS-1 DS-2 DS-4 EM-2 EM-3 MI-2 MI-5 X-2: nothing is lost, doubled or out of order in seeds ${first}..${last}`,
      async () => {
        for (let seed = first; seed <= last; seed += 1) {
          const { failures, faults } = await runSeed(seed)
          if (failures.length > 0) expect({ seed, failures, faults }).toEqual({ seed, failures: [], faults })
        }
      },
      TIMEOUT_MS,
    )
  }
}
