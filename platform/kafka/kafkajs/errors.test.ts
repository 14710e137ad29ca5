// Codes of what the client throws: every name that it knows is one of ours, and one that it does not have yet is CLIENT.
import { createRequire } from 'node:module'
import { KafkaJSConnectionError, KafkaJSNumberOfRetriesExceeded } from 'kafkajs'
import { expect, test } from 'vitest'
import { kafkaErrorCode } from '../error-codes.ts'
import { codeOf, toKafkaError } from './errors.ts'

const require = createRequire(import.meta.url)
const { errorCodes } = require('kafkajs/src/protocol/error.js') as { errorCodes: readonly { readonly type: string }[] }
const classes = Object.keys(require('kafkajs/src/errors.js') as object).filter((name) => name.startsWith('KafkaJS'))

test('each name of the protocol and each class of the client is a code of its own', () => {
  const names = [...errorCodes.map(({ type }) => type), ...classes]
  expect(names.length).toBeGreaterThan(100)
  expect(names.filter((name) => kafkaErrorCode(name) !== name)).toEqual([])
})

test('a name that is not listed is CLIENT, and the message keeps it', () => {
  const unheard = Object.assign(new Error('THRONE_VACANT: no controller'), { type: 'THRONE_VACANT' })
  expect(toKafkaError(unheard, 'asking')).toMatchObject({
    code: 'CLIENT',
    message: 'asking: THRONE_VACANT: no controller',
  })
  expect(codeOf('thrown as text')).toBe('CLIENT')
})

test('a wrapped error has the code of what it wraps', () => {
  const inner = Object.assign(new Error('fenced'), { type: 'INVALID_PRODUCER_EPOCH', retriable: true })
  const wrapped = Object.assign(new KafkaJSNumberOfRetriesExceeded(inner, { retryCount: 5, retryTime: 300 }), {
    cause: inner,
  })
  expect(toKafkaError(wrapped, 'sending')).toMatchObject({ code: 'INVALID_PRODUCER_EPOCH', retriable: true })
  expect(codeOf(new KafkaJSConnectionError('refused', { broker: 'a:1', code: 'ECONNREFUSED' }))).toBe(
    'KafkaJSConnectionError',
  )
})
