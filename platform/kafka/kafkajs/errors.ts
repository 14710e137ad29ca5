// Translates the client's errors: a stable code, whether retrying may help, and the partition and offset if known.
import { ConfigError, KafkaError } from '../../errors.ts'
import { kafkaErrorCode, type KafkaErrorCode } from '../error-codes.ts'
import { retry } from '../../retry.ts'

interface ClientError extends Error {
  type?: string
  code?: string
  retriable?: boolean
  topic?: string
  partition?: number
}

/** The innermost error, with the broker's answer; kafkajs wraps it in "retries exceeded" and the like. */
function rootOf(error: ClientError): ClientError {
  let root = error
  for (let depth = 0; depth < 8 && root.type === undefined && root.cause instanceof Error; depth += 1)
    root = root.cause as ClientError
  return root
}

/** The protocol's error name (PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, …) or the client's class name. */
export function codeOf(error: unknown): KafkaErrorCode {
  if (!(error instanceof Error)) return 'CLIENT'
  const root = rootOf(error)
  if (root.type !== undefined) return kafkaErrorCode(root.type)
  return root.message.startsWith('OFFSET_OUT_OF_RANGE') ? 'OFFSET_OUT_OF_RANGE' : kafkaErrorCode(root.name)
}

/** A broker that requires TLS or SASL closes a connection that lacks it, but it also closes connections on shutdown. */
const MISMATCH = /Closed connection|before secure TLS connection|current SASL state/

/** @param doing what was tried, for the message */
export function toKafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const cause = error instanceof Error ? (error as ClientError) : new Error(String(error))
  const { topic, partition, retriable } = rootOf(cause)
  const hint = MISMATCH.test(cause.message)
    ? '; if this continues, KAFKA_TLS_* or KAFKA_SASL_* may not be what this port of the broker wants'
    : ''
  return new KafkaError(codeOf(cause), `${doing}: ${cause.message}${hint}`, {
    cause,
    retriable: retriable ?? false,
    topic,
    partition,
  })
}

/**
 * The broker's answer to an unknown user, or null. The client uses the same class for a connection that broke in the
 * middle of the exchange, which is transient: only the broker's message tells them apart.
 */
function credentialsRefusal(error: unknown): ConfigError | null {
  const { name, message } = error instanceof Error ? rootOf(error as ClientError) : { name: '', message: '' }
  if (name !== 'KafkaJSSASLAuthenticationError' && codeOf(error) !== 'UNSUPPORTED_SASL_MECHANISM') return null
  if (/failed: Authentication failed/.test(message))
    return new ConfigError(
      `the broker does not accept user and password (${message}): set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD or KAFKA_SASL_PASSWORD_FILE`,
    )
  if (/not supported/.test(message))
    return new ConfigError(
      `the broker does not offer this kind of SASL (${message}): set KAFKA_SASL_MECHANISM to one that it does`,
    )
  return null
}

/** Runs a client request and translates what it throws. */
export async function attempt<T>(doing: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    throw credentialsRefusal(error) ?? toKafkaError(error, doing)
  }
}

/**
 * Answers of a coordinator that has written nothing, so that the same request may be retried. Right after a commit
 * it may still be writing the markers; after a broker start its partition may still be loading or have just moved.
 */
const NOT_YET: ReadonlySet<KafkaErrorCode> = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
])
/** Markers are written within milliseconds, which kafkajs either does not wait for or waits for too long. */
const MARKERS = { forMs: 5_000, backoff: { baseMs: 10, capMs: 20 } }

/** Retries a request to a coordinator until it is ready. */
export const untilReady = <T>(request: () => Promise<T>): Promise<T> =>
  retry(request, { ...MARKERS, isRetriable: (error) => NOT_YET.has(codeOf(error)) })
