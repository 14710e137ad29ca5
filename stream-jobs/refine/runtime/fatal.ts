// The error after which refine must stop and say why: what it finds contradicts itself, and trying again cannot help.
import { KafkaError } from '../../../platform/errors.ts'

export class FatalRestoreError extends KafkaError {}
