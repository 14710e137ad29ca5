// The client's errors in our words: a stable code, whether trying again may help, and the place where there is one.
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError, KafkaError } from '../../errors.ts'

interface ClientError extends Error {
  type?: string
  code?: string
  retriable?: boolean
  topic?: string
  partition?: number
}

/** The innermost error that names what the broker said; kafkajs wraps it in "retries exceeded" and the like. */
function rootOf(error: ClientError): ClientError {
  let root = error
  for (let depth = 0; depth < 8 && root.type === undefined && root.cause instanceof Error; depth += 1)
    root = root.cause as ClientError
  return root
}

/** The protocol's error name (PRODUCER_FENCED, CONCURRENT_TRANSACTIONS, …) or the client's class name. */
export function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'UNKNOWN'
  const root = rootOf(error)
  return root.type ?? (root.message.startsWith('OFFSET_OUT_OF_RANGE') ? 'OFFSET_OUT_OF_RANGE' : root.name)
}

/** A broker closes the line when it is spoken to in plain text or without SASL and wants it, but it also does when it stops. */
const MISMATCH = /Closed connection|before secure TLS connection|current SASL state/

/** @param doing what was tried, for the message */
export function toKafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const cause = error instanceof Error ? (error as ClientError) : new Error(String(error))
  const { topic, partition, retriable } = rootOf(cause)
  const hint = MISMATCH.test(cause.message)
    ? '; if this goes on, KAFKA_TLS_* or KAFKA_SASL_* may not be what this port of the broker wants'
    : ''
  return new KafkaError(codeOf(cause), `${doing}: ${cause.message}${hint}`, {
    cause,
    retriable: retriable ?? false,
    topic,
    partition,
  })
}

/**
 * The broker's answer to a user it does not know, or null. The client gives the same class to a line that broke in the
 * middle of the exchange, which passes by itself: only the broker's own words tell.
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

/** Runs a request of the client's and translates what it throws. */
export async function attempt<T>(doing: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    throw credentialsRefusal(error) ?? toKafkaError(error, doing)
  }
}

/**
 * Answers of a coordinator that has written nothing, so that the same request may be repeated. Right behind a commit
 * it may still be writing the markers; after a broker's start its partition may still be loading or just have moved.
 */
const NOT_YET = new Set([
  'CONCURRENT_TRANSACTIONS',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
])
/** Markers are written within milliseconds; this many tries are about 5 s. kafkajs itself gives up or waits too long. */
const NOT_YET_TRIES = 500
const NOT_YET_WAIT_MS = 10

/** Repeats a request to a coordinator until it is ready. */
export async function untilReady<T>(request: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await request()
    } catch (error) {
      if (!NOT_YET.has(codeOf(error)) || tries >= NOT_YET_TRIES) throw error
      await delay(NOT_YET_WAIT_MS)
    }
  }
}
