// A figure that nobody could have caused must not be among the latencies: one of them hides all the others.
import { describe, expect, test } from 'vitest'
import { createMetrics } from '../../../platform/metrics.ts'
import { emptyLedger } from '../core/ledger.ts'
import { observeRefine } from './observe.ts'

describe('what refine shows of itself', () => {
  test('a transaction that worked on no record has no latency: nothing arrived that it could be late for', async () => {
    const registry = createMetrics('refine')
    const observer = observeRefine(registry, 'raw')
    const report = { partition: 0, failures: 0, buffered: 0, latencyMs: 3_600_000, commitMs: 5, snapshotBytes: 100 }
    observer.committed({ ...report, delta: emptyLedger() })
    expect(await registry.metrics()).toMatch(/^plumbline_refine_latency_seconds_count(?:\{.*\})? 0$/m)
    observer.committed({ ...report, latencyMs: 20, delta: { ...emptyLedger(), consumed: 1 } })
    const shown = await registry.metrics()
    expect(shown).toMatch(/^plumbline_refine_latency_seconds_count(?:\{.*\})? 1$/m)
    expect(shown).toMatch(/^plumbline_refine_latency_seconds_sum(?:\{.*\})? 0.02$/m)
    expect(shown).toMatch(/^plumbline_refine_commit_seconds_count(?:\{.*\})? 2$/m)
  })
})
