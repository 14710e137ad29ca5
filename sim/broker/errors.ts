// What the broker and the line to it answer when they refuse, in the words that platform/kafka/kafkajs/errors.ts gives
// to rooms: same codes, same opinion on whether trying again may help.
import { type ErrorDetails, KafkaError } from '../../platform/errors.ts'

/** The client's names for a line that broke and for an answer that never came. */
const LINE_CODES = ['KafkaJSConnectionError', 'KafkaJSConnectionClosedError', 'KafkaJSRequestTimeoutError'] as const
export type LineCode = (typeof LINE_CODES)[number]

/** Of the broker's answers, those that the client holds for passing. */
const RETRIABLE = new Set([
  'UNKNOWN_TOPIC_OR_PARTITION',
  'NOT_LEADER_FOR_PARTITION',
  'NOT_ENOUGH_REPLICAS',
  'GROUP_LOAD_IN_PROGRESS',
])

export const refused = (code: string, message: string, details: ErrorDetails = {}): KafkaError =>
  new KafkaError(code, message, { retriable: RETRIABLE.has(code), ...details })

/** The line failed: nobody knows whether the request was executed. */
export const lineBroken = (code: LineCode, call: string): KafkaError =>
  new KafkaError(code, `${call}: the line to the broker failed`, { retriable: true })

export const isLineBroken = (error: unknown): boolean => LINE_CODES.some((code) => code === codeOf(error))

/** The port's word for it, or the error's own. */
export const codeOf = (error: unknown): string => (error instanceof KafkaError ? error.code : 'UNKNOWN')
