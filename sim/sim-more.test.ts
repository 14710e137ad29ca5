// The simulation as a test: the second half of the seeds that must pass.
import { describe } from 'vitest'
import { itHoldsInSeeds } from './seeds.test-support.ts'

describe('simulation', () => {
  itHoldsInSeeds(151, 300)
})
