// The query API's metrics: requests by route and status, their time, and how stale the store was when last looked at.
import { Gauge, Histogram, LATENCY_BUCKETS_S, type Registry } from '../platform/metrics.ts'

export class QueryMetrics {
  readonly #seconds: Histogram
  readonly #staleness: Gauge

  constructor(registry: Registry) {
    const registers = [registry]
    this.#seconds = new Histogram({
      name: 'plumbline_query_seconds',
      help: 'Time of a request, by route and status.',
      labelNames: ['route', 'status'],
      buckets: [0.001, 0.0025, ...LATENCY_BUCKETS_S],
      registers,
    })
    this.#staleness = new Gauge({
      name: 'plumbline_query_staleness_seconds',
      help: 'Staleness of the store; NaN: not known.',
      registers,
    })
  }

  /** Call the result with the status when the request has been answered. */
  begin(route: string): (status: number) => void {
    const started = performance.now()
    return (status) => this.#seconds.observe({ route, status: String(status) }, (performance.now() - started) / 1000)
  }

  staleness(ms: number | null): void {
    this.#staleness.set(ms === null ? NaN : ms / 1000)
  }
}
