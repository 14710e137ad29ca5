// The metrics of a replica: updated once per chunk or per fetch.
import { Counter, Gauge, type Registry } from '../../platform/metrics.ts'

export class ReplicaMetrics {
  readonly #rows: Counter
  readonly #leftOut: Counter
  readonly #next: Gauge
  readonly #durable: Gauge
  readonly #lag: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.#rows = new Counter({
      name: 'plumbline_replica_rows_total',
      help: 'Rows given to the replica’s files.',
      labelNames: ['kind'],
      registers,
    })
    this.#leftOut = new Counter({
      name: 'plumbline_replica_left_out_total',
      help: 'Records without a row, since they are not readings.',
      labelNames: ['kind'],
      registers,
    })
    this.#next = new Gauge({
      name: 'plumbline_replica_next_sequence',
      help: 'Sequence that the replica reads next.',
      registers,
    })
    this.#durable = new Gauge({
      name: 'plumbline_replica_durable_sequence',
      help: 'Every row below this sequence is on disk.',
      registers,
    })
    this.#lag = new Gauge({
      name: 'plumbline_replica_lag_records',
      help: 'Offsets between the replica and the end of telemetry.order; a record there stands for many readings.',
      registers,
    })
  }

  leftOut(kind: 'order' | 'late', count: number): void {
    this.#leftOut.inc({ kind }, count)
  }

  rows(kind: 'order' | 'late', count: number): void {
    this.#rows.inc({ kind }, count)
  }

  next(sequence: number): void {
    this.#next.set(sequence)
  }

  durable(sequence: number): void {
    this.#durable.set(sequence)
  }

  lag(records: number): void {
    this.#lag.set(records)
  }
}
