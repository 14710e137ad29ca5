// The errors of the broker and of the connection to it, as platform/kafka/kafkajs/errors.ts presents them to services:
// same codes, same view of whether a retry may help.
import { type ErrorDetails, KafkaError } from '../../platform/errors.ts'
import type { KafkaErrorCode } from '../../platform/kafka/error-codes.ts'

/** The client's names for a broken connection and for an answer that never came. */
const LINE_CODES = ['KafkaJSConnectionError', 'KafkaJSConnectionClosedError', 'KafkaJSRequestTimeoutError'] as const
export type LineCode = (typeof LINE_CODES)[number]

/** The broker errors that the client considers transient. */
const RETRIABLE: ReadonlySet<KafkaErrorCode> = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'GROUP_LOAD_IN_PROGRESS',
])

export const refused = (code: KafkaErrorCode, message: string, details: ErrorDetails = {}): KafkaError =>
  new KafkaError(code, message, { retriable: RETRIABLE.has(code), ...details })

/** The connection failed: whether the request was executed is unknown. */
export const lineBroken = (code: LineCode, call: string): KafkaError =>
  new KafkaError(code, `${call}: the line to the broker failed`, { retriable: true })

export const isLineBroken = (error: unknown): boolean => LINE_CODES.some((code) => code === codeOf(error))

/** The port's error code, or the error's own. */
export const codeOf = (error: unknown): KafkaErrorCode => (error instanceof KafkaError ? error.code : 'UNKNOWN')
