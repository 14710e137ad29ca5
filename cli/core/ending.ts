// How a command ends after an error: what it prints on standard error. Operator errors are one line with the next
// step; bugs keep their stack.
import { KafkaError, messageOf } from '../../platform/errors.ts'
import { operatorMessage } from '../../platform/operator-error.ts'
import type { KafkaErrorCode } from '../../platform/kafka/error-codes.ts'

/** The client's names for a broker that cannot be reached. */
const AWAY: ReadonlySet<KafkaErrorCode> = new Set([
  'UNREACHABLE',
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSNumberOfRetriesExceeded',
  'KafkaJSBrokerNotFound',
  'KafkaJSRequestTimeoutError',
])
const HINT = 'KAFKA_BROKERS'

export function endingText(error: unknown): string {
  const line = operatorMessage(error)
  if (line === null) return error instanceof Error ? (error.stack ?? error.message) : messageOf(error)
  if (!(error instanceof KafkaError) || !AWAY.has(error.code) || line.includes(HINT)) return line
  return `${line}; is the broker running? Start it with "plumbline up", or set ${HINT}`
}
