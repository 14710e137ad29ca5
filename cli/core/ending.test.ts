import { describe, expect, test } from 'vitest'
import { ConfigError, InputError, KafkaError } from '../../platform/errors.ts'
import { endingText } from './ending.ts'

const full = Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })

describe('security 13: what a command says when it ends with an error', () => {
  test.each([
    ['a setting', new ConfigError('SINKS_PORT is "x"'), 'SINKS_PORT is "x"'],
    ['an argument', new InputError('NODE', 'node', 'no such node'), 'no such node'],
    [
      'a broker that is away',
      new KafkaError('KafkaJSConnectionError', 'listing topics: connect ECONNREFUSED'),
      'listing topics: connect ECONNREFUSED; is the broker running? Start it with "plumbline up", or set KAFKA_BROKERS',
    ],
    ['one that says so itself', new KafkaError('UNREACHABLE', 'set KAFKA_BROKERS'), 'set KAFKA_BROKERS'],
    ['another answer of the broker', new KafkaError('TOPIC_AUTHORIZATION_FAILED', 'refused'), 'refused'],
    ['something thrown that is no error', 'text', 'text'],
  ])('%s', (_, error, text) => {
    expect(endingText(error)).toBe(text)
  })

  test('a full disk, without a stack', () => {
    expect(endingText(full)).toMatch(/^the disk is full.*$/)
  })

  test('a mistake of ours, with its stack', () => {
    expect(endingText(new TypeError('x'))).toContain('    at ')
  })
})
