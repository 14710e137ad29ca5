// The error after which refine must stop and say why: its data contradict each other, and retrying cannot help.
import { PlumblineError } from '../../../platform/errors.ts'

export type FatalRestoreCode =
  | 'CORE_CHANGED'
  | 'FOREIGN_OFFSET'
  | 'OFFSET_OUT_OF_RANGE'
  | 'ORDER_WITHOUT_OFFSET'
  | 'REPLAY_DIVERGED'
  | 'SCHEMA_GONE'
  | 'SNAPSHOT_INCOMPLETE'
  | 'SNAPSHOT_UNREADABLE'
  | 'SNAPSHOT_WITHOUT_OFFSET'

export class FatalRestoreError extends PlumblineError<FatalRestoreCode> {}
