// Metrics of the runtime configuration in a process: the version that it has applied, and what it has refused.
import { Counter, Gauge, type Registry } from '../metrics.ts'

export interface ConfigMetrics {
  refused(): void
}

/** @param applied the version that the whole process has applied */
export function configMetrics(registry: Registry, applied: () => number): ConfigMetrics {
  new Gauge({
    name: 'plumbline_config_version',
    help: 'Version of the runtime configuration that is applied; 0: none was ever set.',
    registers: [registry],
    collect() {
      this.set(applied())
    },
  })
  const refused = new Counter({
    name: 'plumbline_config_refused_total',
    help: 'Configurations in the topic that were refused.',
    registers: [registry],
  })
  return { refused: () => refused.inc() }
}
