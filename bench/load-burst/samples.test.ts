import { describe, expect, test } from 'vitest'
import { recoveryOf, type Sample } from './samples.ts'
import type { Brownout } from './scenario.ts'

const sample = (atS: number, sinks: number, breaker = 0): Sample => ({
  atS,
  acceptedPerS: 100,
  refinedPerS: 100,
  storedPerS: 100,
  orderedPerS: 100,
  waiting: { producers: 0, refine: 0, sinks, sequencer: 0 },
  latency: { p50: 0.1, p99: 0.2, p999: 0.3 },
  breaker,
  retries: 0,
  batchRows: 10,
  rssMb: { producers: 1, refine: 1, sinks: 1 },
})
const stall: Brownout = { kind: 'stall', atMs: 2_000, lengthMs: 3_000 }

describe('EM-5: recovery from a brownout', () => {
  test('is counted from its end until no more waits than a second’s load', () => {
    const samples = [sample(1, 20), sample(2, 20), sample(3, 150), sample(5, 400, 2), sample(6, 300), sample(8, 90)]
    expect(recoveryOf(stall, samples)).toEqual({
      ...stall,
      waitingMax: 400,
      recoveredAfterS: 3,
      breakerOpened: true,
    })
  })

  test('that has not come about is null', () => {
    expect(recoveryOf(stall, [sample(3, 150), sample(9, 5_000)])).toMatchObject({
      recoveredAfterS: null,
      waitingMax: 5_000,
      breakerOpened: false,
    })
  })
})
