// What the services' metrics say about the whole pipeline: rates per stage, lag, latencies and outcomes of records.
// Two readings of /metrics, some seconds apart, make one view. Only this file knows the names of the services' metrics.
import {
  type Buckets,
  bucketIncrease,
  type Exposition,
  increase,
  type Labels,
  mergeBuckets,
  quantile,
  shareBeyond,
  sum,
} from './exposition.ts'

/** One answer of /metrics of every process, by process name; a service may have several processes. */
export interface Frame {
  /** Monotonic time, ms. */
  readonly atMs: number
  readonly processes: ReadonlyMap<string, ProcessMetrics>
}

export interface ProcessMetrics {
  readonly service: string
  readonly metrics: Exposition
}

export interface Stage {
  readonly name: string
  readonly inPerS: number
  readonly outPerS: number
  /** Records waiting before the stage. */
  readonly lag: number
  /** Records out since the processes started. */
  readonly total: number
  /** CPU cores in use. */
  readonly cpu: number
  readonly rssBytes: number
}

export interface Latency {
  readonly name: string
  /** Seconds, of what took up to 30 s; null: nothing observed. */
  readonly p50: number | null
  readonly p99: number | null
  readonly p999: number | null
  /** Share of what took longer: imported history, or a pipeline that lags. */
  readonly beyond: number
}

export interface PipelineView {
  readonly stages: readonly Stage[]
  readonly latencies: readonly Latency[]
  /** Since the processes started. */
  readonly counts: {
    readonly consumed: number
    readonly emitted: number
    readonly duplicates: number
    readonly late: number
    readonly deadLetters: number
    readonly anomalies: number
    readonly gaps: number
    readonly held: number
  }
  readonly nodes: { readonly count: number; readonly degraded: number; readonly paused: number }
  /** The total order: readings that have their sequence, extents that wait for theirs, and who copies it. */
  readonly order: {
    readonly nextSequence: number
    readonly perS: number
    readonly waitingExtents: number
    readonly replicas: number
    readonly waitingForReplicas: number
  }
  /** The sinks' way to the store: breaker 0 closed, 1 half-open, 2 open; rows a transaction, null: none was written. */
  readonly store: { readonly breaker: number; readonly retries: number; readonly batchRows: number | null }
}

interface StageNames {
  readonly name: string
  readonly service: string
  readonly in: Named
  readonly out: Named
  readonly lag: Named
}

interface Named {
  readonly metric: string
  readonly labels?: Labels
}

const REFINED = 'plumbline_refine_records_total'
const STAGES: readonly StageNames[] = [
  {
    name: 'producers',
    service: 'producers',
    in: { metric: 'plumbline_producer_accepted_total' },
    out: { metric: 'plumbline_producer_acknowledged_total' },
    lag: { metric: 'plumbline_producer_unacknowledged_readings' },
  },
  {
    name: 'refine',
    service: 'stream-jobs',
    in: { metric: REFINED, labels: { outcome: 'consumed' } },
    out: { metric: REFINED, labels: { outcome: 'emitted' } },
    lag: { metric: 'plumbline_refine_lag_records' },
  },
  {
    name: 'sinks',
    service: 'sinks',
    in: { metric: 'plumbline_sink_rows_total', labels: { topic: 'telemetry.clean' } },
    out: { metric: 'plumbline_sink_rows_total', labels: { topic: 'telemetry.clean' } },
    lag: { metric: 'plumbline_sink_lag_records' },
  },
]

const LATENCIES = [
  { name: 'raw to clean', service: 'stream-jobs', metric: 'plumbline_refine_latency_seconds', labels: {} },
  {
    name: 'sample to store',
    service: 'sinks',
    metric: 'plumbline_sink_latency_seconds',
    labels: { topic: 'telemetry.clean' },
  },
] as const

/** @param before an older frame; null: rates and latencies are not known yet */
export function recordBatchOf(before: Frame | null, after: Frame): PipelineView {
  const seconds = before === null ? 0 : Math.max(0.001, (after.atMs - before.atMs) / 1_000)
  const total = ({ metric, labels }: Named, service: string): number =>
    ofService(after, service).reduce((all, [, metrics]) => all + sum(metrics, metric, labels), 0)
  const perS = ({ metric, labels }: Named, service: string): number => {
    if (before === null) return 0
    return (
      ofService(after, service).reduce(
        (all, [name, metrics]) => all + increase(former(before, name), metrics, metric, labels),
        0,
      ) / seconds
    )
  }
  const refined = (outcome: string): number => total({ metric: REFINED, labels: { outcome } }, 'stream-jobs')
  return {
    stages: STAGES.map((stage) => ({
      name: stage.name,
      inPerS: perS(stage.in, stage.service),
      outPerS: perS(stage.out, stage.service),
      lag: total(stage.lag, stage.service),
      total: total(stage.out, stage.service),
      cpu: perS({ metric: 'process_cpu_seconds_total' }, stage.service),
      rssBytes: total({ metric: 'process_resident_memory_bytes' }, stage.service),
    })),
    latencies: LATENCIES.map(({ name, service, metric, labels }) => {
      const grown = ofService(after, service).map(([process, metrics]): Buckets =>
        bucketIncrease(before === null ? undefined : former(before, process), metrics, metric, labels),
      )
      const buckets = mergeBuckets(grown)
      return {
        name,
        p50: quantile(buckets, 0.5),
        p99: quantile(buckets, 0.99),
        p999: quantile(buckets, 0.999),
        beyond: shareBeyond(buckets),
      }
    }),
    counts: {
      consumed: refined('consumed') - refined('control'),
      emitted: refined('emitted'),
      duplicates: refined('duplicate'),
      late: refined('late'),
      deadLetters:
        refined('deadLettered') + refined('conflict') + total({ metric: 'plumbline_sink_dead_letters_total' }, 'sinks'),
      anomalies: refined('anomalies'),
      gaps: refined('gapsGivenUp'),
      held: total({ metric: 'plumbline_refine_buffered_records' }, 'stream-jobs'),
    },
    nodes: {
      count: total({ metric: 'plumbline_producer_nodes' }, 'producers'),
      degraded: total({ metric: 'plumbline_producer_degraded_nodes' }, 'producers'),
      paused: total({ metric: 'plumbline_producer_paused_nodes' }, 'producers'),
    },
    order: {
      nextSequence: total({ metric: 'plumbline_sequencer_next_sequence' }, 'stream-jobs'),
      perS: perS({ metric: 'plumbline_sequencer_readings_total' }, 'stream-jobs'),
      waitingExtents: total({ metric: 'plumbline_sequencer_lag_extents' }, 'stream-jobs'),
      replicas: ofService(after, 'replica').length,
      waitingForReplicas: total({ metric: 'plumbline_replica_lag_records' }, 'replica'),
    },
    store: {
      breaker: total({ metric: 'plumbline_sink_breaker_state' }, 'sinks'),
      retries: total({ metric: 'plumbline_sink_retries_total' }, 'sinks'),
      batchRows: ratio(
        perS({ metric: 'plumbline_sink_batch_rows_sum' }, 'sinks'),
        perS({ metric: 'plumbline_sink_batch_rows_count' }, 'sinks'),
      ),
    },
  }
}

const ratio = (sum: number, count: number): number | null => (count > 0 ? sum / count : null)

const ofService = (frame: Frame, service: string): (readonly [string, Exposition])[] =>
  [...frame.processes]
    .filter(([, process]) => process.service === service)
    .map(([name, { metrics }]) => [name, metrics] as const)

const former = (frame: Frame, process: string): Exposition | undefined => frame.processes.get(process)?.metrics

/** The last frames, so that rates are taken over some seconds: short enough to follow, long enough not to flicker. */
export class FrameWindow {
  readonly #spanMs: number
  readonly #frames: Frame[] = []

  constructor(spanMs: number) {
    this.#spanMs = spanMs
  }

  /** Adds a frame and compares it with the oldest one of the span. */
  add(frame: Frame): PipelineView {
    this.#frames.push(frame)
    while (this.#frames.length > 2 && frame.atMs - this.#frames[1].atMs >= this.#spanMs) this.#frames.shift()
    return recordBatchOf(this.#frames.length > 1 ? this.#frames[0] : null, frame)
  }
}
