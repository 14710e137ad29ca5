// What can go wrong when an instance is started, supervised or stopped on this machine.
import { PlumblineError } from '../platform/errors.ts'

export type DeployErrorCode =
  // This machine
  | 'TOOLS_MISSING'
  | 'SPAWN_FAILED'
  | 'PORT_IN_USE'
  // Kafka and Redis as local processes
  | 'KAFKA_DOWNLOAD'
  | 'KAFKA_START'
  | 'KAFKA_RUNNING'
  | 'REDIS_START'
  // The instance
  | 'ALREADY_RUNNING'
  | 'FORMER_RUNNING'
  | 'SERVICE_FAILED'

export class DeployError extends PlumblineError<DeployErrorCode> {}
