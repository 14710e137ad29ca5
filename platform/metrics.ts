// Prometheus metrics by prom-client. Names carry their unit; counters end in _total. A metric is touched once per
// batch, never per record.
import { collectDefaultMetrics, Registry } from 'prom-client'

export { Counter, Gauge, Histogram, type Registry } from 'prom-client'

/** Buckets for latencies of a pipeline that commits every 100 ms, seconds. */
export const LATENCY_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30]

/** A registry with the process metrics (CPU, memory, event loop) of one room. */
export function createMetrics(room: string): Registry {
  const registry = new Registry()
  registry.setDefaultLabels({ room })
  collectDefaultMetrics({ register: registry })
  return registry
}
