// The sink's metrics. Each is touched once per batch; latencies are observed for every 64th row of a unit, so that
// large batches weigh more than small ones without a call per record.
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../platform/metrics.ts'
import { type Unit, unitRows } from './core/batch.ts'

const SAMPLE_EVERY_ROWS = 64

export class SinkMetrics {
  readonly #rows: Counter
  readonly #batchRows: Histogram
  readonly #writeSeconds: Histogram
  readonly #latencySeconds: Histogram
  readonly #lag: Gauge
  readonly deadLetters: Counter
  readonly writeFailures: Counter

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
    this.deadLetters = new Counter({
      name: 'plumbline_sink_dead_letters_total',
      help: 'Records that could not be read and went to the dead-letter topic.',
      labelNames: ['topic'],
      registers,
    })
    this.writeFailures = new Counter({
      name: 'plumbline_sink_write_failures_total',
      help: 'Store transactions that failed.',
      registers,
    })
  }

  written(units: readonly Unit[], seconds: number, nowMs: number): void {
    this.#writeSeconds.observe(seconds)
    // A transaction that only moves progress is no batch.
    if (units.length > 0) this.#batchRows.observe(units.reduce((sum, unit) => sum + unitRows(unit), 0))
    for (const unit of units) {
      this.#rows.inc({ topic: unit.lane.topic }, unitRows(unit))
      for (let i = 0; i < unit.readings.length; i += SAMPLE_EVERY_ROWS) {
        this.#latencySeconds.observe({ topic: unit.lane.topic }, Math.max(0, nowMs - unit.readings[i].ts) / 1000)
      }
    }
  }

  lag(topic: string, partition: number, records: number): void {
    this.#lag.set({ topic, partition }, records)
  }

  /** Lags of partitions that were given away must not stay. */
  forgetLags(): void {
    this.#lag.reset()
  }
}
