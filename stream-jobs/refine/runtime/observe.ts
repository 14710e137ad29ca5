// What refine exposes: metrics, updated once per transaction, and readiness by progress.
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../../../platform/metrics.ts'
import { ProgressWatch } from '../../../platform/health.ts'
import { LEDGER_NAMES } from '../core/ledger.ts'
import type { CommitReport } from './task.ts'

export interface RefineObserver {
  committed(report: CommitReport): void
  /** Position and end of one partition, ms of monotonic time. */
  progress(partition: number, position: number, end: number, nowMs: number, logEnd?: number): void
  /** Forgets partitions that are no longer owned. */
  keep(partitions: ReadonlySet<number>): void
  readonly watch: ProgressWatch
}

export function observeRefine(registry: Registry, rawTopic: string): RefineObserver {
  const records = new Counter({
    name: 'plumbline_refine_records_total',
    help: 'Records by what became of them (consumed counts all).',
    labelNames: ['outcome'],
    registers: [registry],
  })
  const buffered = new Gauge({
    name: 'plumbline_refine_buffered_records',
    help: 'Readings that wait for their turn.',
    labelNames: ['partition'],
    registers: [registry],
  })
  const lag = new Gauge({
    name: 'plumbline_refine_lag_records',
    help: 'Records of raw that are not worked on yet.',
    labelNames: ['partition'],
    registers: [registry],
  })
  const latency = new Histogram({
    name: 'plumbline_refine_latency_seconds',
    help: 'From the arrival of a transaction’s last record to its commit.',
    buckets: LATENCY_BUCKETS_S,
    registers: [registry],
  })
  const commits = new Histogram({
    name: 'plumbline_refine_commit_seconds',
    help: 'Duration of the commit protocol.',
    buckets: LATENCY_BUCKETS_S,
    registers: [registry],
  })
  const snapshots = new Counter({
    name: 'plumbline_refine_snapshot_bytes_total',
    help: 'Bytes of snapshots written.',
    registers: [registry],
  })
  const failures = new Counter({
    name: 'plumbline_refine_failures_total',
    help: 'Records on which refine’s core threw an exception: each is a defect, and the record a dead letter.',
    labelNames: ['partition'],
    registers: [registry],
  })
  const watch = new ProgressWatch()
  const known = new Set<number>()
  const name = (partition: number): string => `${rawTopic}/${partition}`
  return {
    watch,
    committed({ partition, delta, failures: thrown, buffered: waiting, latencyMs, commitMs, snapshotBytes }) {
      for (const outcome of LEDGER_NAMES)
        if (outcome !== 'buffered' && delta[outcome] > 0) records.inc({ outcome }, delta[outcome])
      if (thrown > 0) failures.inc({ partition }, thrown)
      buffered.set({ partition }, waiting)
      // The first transaction of a partition, or one at an idle partition's end, has no record that could be late.
      if (delta.consumed > 0) latency.observe(latencyMs / 1_000)
      commits.observe(commitMs / 1_000)
      snapshots.inc(snapshotBytes)
    },
    progress(partition, position, end, nowMs, logEnd = end) {
      known.add(partition)
      lag.set({ partition }, Math.max(0, end - position))
      watch.observe(name(partition), position, end, nowMs, logEnd)
    },
    keep(partitions) {
      for (const partition of known) {
        if (partitions.has(partition)) continue
        known.delete(partition)
        lag.remove({ partition })
        buffered.remove({ partition })
        watch.forget(name(partition))
      }
    },
  }
}
