// Why a benchmark cannot measure.
import { PlumblineError } from '../platform/errors.ts'

export class BenchError extends PlumblineError<'NO_LOAD' | 'WORKER_FAILED' | 'EMPTY_TOPIC' | 'NO_SUCH_TOPIC'> {}
