// Where a planted bug can take hold of a run; see mutations/.
import type { Kafka } from '../platform/kafka/port.ts'
import type { SimBroker } from './broker/broker.ts'

export interface Bug {
  /** The port of one life of a process. */
  readonly wrap?: (kafka: Kafka, process: string) => Kafka
  /** Before a write-ahead log is opened. */
  readonly beforeOpen?: (dir: string, boot: string) => void
  readonly changeBroker?: (broker: SimBroker) => void
}

export const NO_BUG: Bug = {}
