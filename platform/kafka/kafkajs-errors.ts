// The client's errors in our words: a stable code, whether trying again may help, and the place where there is one.
import { setTimeout as delay } from 'node:timers/promises'
import { KafkaError } from '../errors.ts'

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

/** @param doing what was tried, for the message */
export function toKafkaError(error: unknown, doing: string): KafkaError {
  if (error instanceof KafkaError) return error
  const cause = error instanceof Error ? (error as ClientError) : new Error(String(error))
  const { topic, partition, retriable } = rootOf(cause)
  return new KafkaError(codeOf(cause), `${doing}: ${cause.message}`, {
    cause,
    retriable: retriable ?? false,
    topic,
    partition,
  })
}

/** Runs a request of the client's and translates what it throws. */
export async function attempt<T>(doing: string, request: () => Promise<T>): Promise<T> {
  try {
    return await request()
  } catch (error) {
    throw toKafkaError(error, doing)
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
