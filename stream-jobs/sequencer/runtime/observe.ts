// What the sequencer exposes: metrics, updated once per transaction, and readiness by progress.
import { ProgressWatch } from '../../../platform/health.ts'
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../../../platform/metrics.ts'
import type { OrderReport } from './sequencer.ts'

export interface SequencerObserver {
  active(isActive: boolean): void
  committed(report: OrderReport): void
  /** Position and end of one partition of the extents, ms of monotonic time. */
  progress(partition: number, position: number, end: number, nowMs: number): void
  readonly watch: ProgressWatch
}

export function observeSequencer(registry: Registry, extentsTopic: string): SequencerObserver {
  const registers = [registry]
  const active = new Gauge({
    name: 'plumbline_sequencer_active',
    help: '1 in the process whose sequencer is active; the others are on standby.',
    registers,
  })
  const next = new Gauge({
    name: 'plumbline_sequencer_next_sequence',
    help: 'Sequence of the next reading, where the sequencer is active.',
    registers,
  })
  const transactions = new Counter({
    name: 'plumbline_sequencer_transactions_total',
    help: 'Transactions of the order, those with views alone included.',
    registers,
  })
  const extents = new Counter({
    name: 'plumbline_sequencer_extents_total',
    help: 'Extents put in order.',
    registers,
  })
  const readings = new Counter({
    name: 'plumbline_sequencer_readings_total',
    help: 'Readings that got their sequence.',
    registers,
  })
  const lag = new Gauge({
    name: 'plumbline_sequencer_lag_extents',
    help: 'Extents that are not in the order yet, where the sequencer is active.',
    labelNames: ['partition'],
    registers,
  })
  const commits = new Histogram({
    name: 'plumbline_sequencer_commit_seconds',
    help: 'Duration of a transaction of the order.',
    buckets: LATENCY_BUCKETS_S,
    registers,
  })
  const watch = new ProgressWatch()
  const known = new Set<number>()
  const name = (partition: number): string => `${extentsTopic}/${partition}`
  return {
    watch,
    active(isActive) {
      active.set(isActive ? 1 : 0)
      if (isActive) return
      for (const partition of known) watch.forget(name(partition))
      known.clear()
      lag.reset()
      next.set(0)
    },
    committed({ nextSequence, extents: count, readings: numbered, commitMs }) {
      transactions.inc()
      extents.inc(count)
      readings.inc(numbered)
      next.set(nextSequence)
      commits.observe(commitMs / 1_000)
    },
    progress(partition, position, end, nowMs) {
      known.add(partition)
      lag.set({ partition }, Math.max(0, end - position))
      watch.observe(name(partition), position, end, nowMs)
    },
  }
}
