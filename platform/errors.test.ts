import { expect, test } from 'vitest'
import { ConfigError, InputError, KafkaError, messageOf, PlumblineError, StoreError } from './errors.ts'

test('an operating error says its class, code, place and cause, and is retriable only when it says so', () => {
  const cause = new Error('below')
  const error = new KafkaError('CORRUPT_BATCH', 'broken', { cause, topic: 'telemetry.raw', partition: 3, offset: 9 })
  expect(error).toBeInstanceOf(PlumblineError)
  expect(error).toMatchObject({
    name: 'KafkaError',
    code: 'CORRUPT_BATCH',
    retriable: false,
    topic: 'telemetry.raw',
    partition: 3,
    offset: 9,
    cause,
  })
  expect(new StoreError('STORE_BUSY', 'later', { retriable: true }).retriable).toBe(true)
  expect(new ConfigError('x')).toMatchObject({ name: 'ConfigError', code: 'CONFIG' })
  expect(new InputError('TOO_LONG', 'limit', 'limit must be at most 5').field).toBe('limit')
  expect('cause' in new KafkaError('CLIENT', 'without')).toBe(false)
})

test('the message of anything thrown', () => {
  expect([new Error('a'), 'b', 7, null, undefined].map(messageOf)).toEqual(['a', 'b', '7', 'null', 'undefined'])
})
