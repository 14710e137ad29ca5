// The sink's metrics. Each is updated once per batch; latencies are observed for every 64th row of a batch, so that
// large batches weigh more than small ones without a call per record.
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../platform/metrics.ts'
import type { BreakerState } from '../platform/breaker.ts'
import { type Slice, sliceRows } from './core/write-batch.ts'

const SAMPLE_EVERY_ROWS = 64
const BREAKER_STATES: Readonly<Record<BreakerState['kind'], number>> = { closed: 0, 'half-open': 1, open: 2 }

export class SinkMetrics {
  readonly #rows: Counter
  readonly #batchRows: Histogram
  readonly #writeSeconds: Histogram
  readonly #latencySeconds: Histogram
  readonly #lag: Gauge
  readonly #breakerState: Gauge
  readonly #breakerChanges: Counter
  readonly #batchLimit: Gauge
  readonly #waitingRows: Gauge
  readonly withoutMetric: Counter
  readonly deadLetters: Counter
  readonly writeFailures: Counter
  readonly retries: Counter

  constructor(registry: Registry) {
    const registers = [registry]
    this.#rows = new Counter({
      name: 'plumbline_sink_rows_total',
      help: 'Rows written to the store.',
      labelNames: ['topic'],
      registers,
    })
    this.#batchRows = new Histogram({
      name: 'plumbline_sink_batch_rows',
      help: 'Rows per store transaction.',
      buckets: [1, 10, 100, 1_000, 5_000, 10_000, 20_000, 50_000, 100_000],
      registers,
    })
    this.#writeSeconds = new Histogram({
      name: 'plumbline_sink_write_seconds',
      help: 'Time of one store transaction.',
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
      registers,
    })
    this.#latencySeconds = new Histogram({
      name: 'plumbline_sink_latency_seconds',
      help: 'From event time to stored, of every 64th row.',
      labelNames: ['topic'],
      buckets: LATENCY_BUCKETS_S,
      registers,
    })
    this.#lag = new Gauge({
      name: 'plumbline_sink_lag_records',
      help: 'Offsets between the store and the end of the partition.',
      labelNames: ['topic', 'partition'],
      registers,
    })
    this.withoutMetric = new Counter({
      name: 'plumbline_sink_readings_without_metric_total',
      help: 'Readings that have no metric and erase none: their source sends nothing, or its schema names other metrics.',
      labelNames: ['topic'],
      registers,
    })
    this.deadLetters = new Counter({
      name: 'plumbline_sink_dead_letters_total',
      help: 'Records that went to the dead-letter topic: unreadable, or poison that the store never takes.',
      labelNames: ['topic', 'reason'],
      registers,
    })
    this.writeFailures = new Counter({
      name: 'plumbline_sink_write_failures_total',
      help: 'Store transactions that met an outage.',
      registers,
    })
    this.retries = new Counter({
      name: 'plumbline_sink_retries_total',
      help: 'Writes and probes that followed a failed one; bounded by a budget.',
      registers,
    })
    this.#breakerState = new Gauge({
      name: 'plumbline_sink_breaker_state',
      help: 'Breaker of the store: 0 closed, 1 half-open, 2 open.',
      registers,
    })
    this.#breakerChanges = new Counter({
      name: 'plumbline_sink_breaker_changes_total',
      help: 'How often the breaker has come into a state.',
      labelNames: ['to'],
      registers,
    })
    this.#batchLimit = new Gauge({
      name: 'plumbline_sink_batch_rows_limit',
      help: 'Rows that a batch may have at present; adapts to how fast the store is.',
      registers,
    })
    this.#waitingRows = new Gauge({
      name: 'plumbline_sink_waiting_rows',
      help: 'Rows in memory that the store does not have yet; bounded by one fetch per partition.',
      registers,
    })
  }

  written(slices: readonly Slice[], seconds: number, nowMs: number): void {
    this.#writeSeconds.observe(seconds)
    // A transaction that only moves progress is not a batch.
    if (sliceRows(slices) > 0) this.#batchRows.observe(sliceRows(slices))
    for (const { decoded, from, to } of slices) {
      this.#rows.inc({ topic: decoded.partition.topic }, to - from)
      for (let i = from; i < Math.min(to, decoded.readings.length); i += SAMPLE_EVERY_ROWS) {
        this.#latencySeconds.observe(
          { topic: decoded.partition.topic },
          Math.max(0, nowMs - decoded.readings[i].ts) / 1000,
        )
      }
    }
  }

  breaker(to: BreakerState['kind']): void {
    this.#breakerState.set(BREAKER_STATES[to])
    this.#breakerChanges.inc({ to })
  }

  limit(rows: number): void {
    this.#batchLimit.set(rows)
  }

  waitingRows(rows: number): void {
    this.#waitingRows.set(rows)
  }

  lag(topic: string, partition: number, records: number): void {
    this.#lag.set({ topic, partition }, records)
  }

  /** Lags of partitions given up must not remain. */
  forgetLags(): void {
    this.#lag.reset()
  }
}
