// Why a command ends with exit code 1, where the reason is the command's own.
import { PlumblineError } from '../../platform/errors.ts'

export type CommandErrorCode =
  // The instance or an address
  | 'NOT_RUNNING'
  | 'UNREACHABLE'
  | 'REFUSED'
  | 'LOST_UPDATE'
  | 'CLEAN'
  // demo and produce
  | 'NO_SERIES'
  | 'NOT_SETTLED'
  | 'REPLAY'
  | 'REJECTED'
  // dlq, export and replica
  | 'TAKEN_OVER'
  | 'LOCKED'
  | 'WRITE'
  | 'EXPORT_EXPIRED'
  | 'EXPORT_OTHER_LOG'
  | 'NO_REPLICA'
  | 'REPLICAS_DIFFER'

export class CommandError extends PlumblineError<CommandErrorCode> {}
