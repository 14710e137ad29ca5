// The producers' metrics. Counters move once per tick or send; what can be looked up is looked up when it is asked for.
import { Counter, Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../platform/metrics.ts'
import type { Fleet } from './nodes/fleet.ts'
import type { Outbox } from './outbox.ts'
import type { Delivery } from './uplink.ts'

export class ProducerMetrics {
  readonly accepted: Counter
  readonly #acknowledged: Counter
  readonly #duplicates: Counter
  readonly #failures: Counter
  readonly #latency: Histogram

  constructor(registry: Registry) {
    const counter = (name: string, help: string): Counter =>
      new Counter({ name: `plumbline_producer_${name}`, help, registers: [registry] })
    this.accepted = counter('accepted_total', 'Readings accepted into a write-ahead log.')
    this.#acknowledged = counter('acknowledged_total', 'Readings acknowledged by the broker.')
    this.#duplicates = counter('duplicates_sent_total', 'Readings that the simulation sent twice on purpose.')
    this.#failures = counter('send_failures_total', 'Sends that failed and were tried again.')
    this.#latency = new Histogram({
      name: 'plumbline_producer_send_seconds',
      help: 'Time from giving a batch to the client to its acknowledgement.',
      buckets: LATENCY_BUCKETS_S,
      registers: [registry],
    })
  }

  readonly onDelivered = ({ acknowledged, duplicates, ms }: Delivery): void => {
    this.#acknowledged.inc(acknowledged)
    this.#duplicates.inc(duplicates)
    this.#latency.observe(ms / 1000)
  }

  readonly onFailed = (): void => {
    this.#failures.inc()
  }
}

/** @param read counts since the start */
export function addRepeats(registry: Registry, read: () => number): void {
  new Counter({
    name: 'plumbline_producer_repeated_total',
    help: 'Readings of repeated POSTs, which were not taken again.',
    registers: [registry],
    collect() {
      this.reset()
      this.inc(read())
    },
  })
}

/** Gauges over everything that holds readings. */
export function addGauges(registry: Registry, fleet: Fleet, outboxes: () => Iterable<Outbox>): void {
  const gauge = (name: string, help: string, read: () => number): Gauge =>
    new Gauge({
      name: `plumbline_producer_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(read())
      },
    })
  const sum = (read: (outbox: Outbox) => number): number =>
    [...outboxes()].reduce((total, outbox) => total + read(outbox), 0)
  gauge('nodes', 'Simulated nodes.', () => [...fleet.nodes].length)
  gauge(
    'degraded_nodes',
    'Nodes whose ring is near capacity or that the broker pushes back on.',
    () => [...fleet.nodes].filter(({ degraded }) => degraded).length,
  )
  gauge(
    'paused_nodes',
    'Nodes that take no samples because their log is full.',
    () => [...fleet.nodes].filter(({ paused }) => paused).length,
  )
  gauge('ring_fill_ratio', 'Fill of the fullest ring.', () =>
    [...outboxes()].reduce((most, { ringFill }) => Math.max(most, ringFill), 0),
  )
  gauge('wal_bytes', 'Bytes of all write-ahead logs in use.', () => sum(({ wal }) => wal.bytes))
  gauge('unacknowledged_readings', 'Readings accepted and not acknowledged.', () => sum(({ depth }) => depth))
}
