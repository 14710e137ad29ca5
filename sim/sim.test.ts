// The simulation as a test: the first half of the seeds that must pass; sim-more.test.ts has the other half, since test
// files run in parallel. `make sim` runs any others.
import { describe, expect, it } from 'vitest'
import { runSeed } from './run.ts'
import { itHoldsInSeeds } from './seeds.test-support.ts'

describe('simulation', () => {
  itHoldsInSeeds(1, 150)

  it('repeats a run event by event from its seed', async () => {
    const once = await runSeed(3, { keepTrace: true })
    const again = await runSeed(3, { keepTrace: true })
    expect(again).toEqual(once)
    expect((await runSeed(4)).hash).not.toBe(once.hash)
  }, 180_000)
})
