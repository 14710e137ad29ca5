import { describe, expect, it } from 'vitest'
import { PlumblineError, StoreError } from '../errors.ts'
import { classifyFailure, StoreOutageError, StorePoisonError } from './store-errors.ts'

describe('X-3: outage and poison are told apart', () => {
  it('an outage may be retried, poison may not, and both are store errors', () => {
    const outage = new StoreOutageError('away', { cause: 'why' })
    const poison = new StorePoisonError('bad row')
    expect(outage).toMatchObject({ code: 'STORE_UNAVAILABLE', retriable: true, cause: 'why' })
    expect(new StoreOutageError('late', {}, 'STORE_TIMEOUT').code).toBe('STORE_TIMEOUT')
    expect(poison).toMatchObject({ code: 'STORE_POISON', retriable: false })
    for (const error of [outage, poison]) {
      expect(error).toBeInstanceOf(StoreError)
      expect(error).toBeInstanceOf(PlumblineError)
    }
  })

  it.each([
    ['poison', new StorePoisonError('bad row')],
    ['moved', new StoreError('STORE_MOVED', 'taken over')],
    ['outage', new StoreOutageError('away')],
    ['outage', new StoreError('STORE_FAILED', 'who knows')],
    ['outage', new TypeError('a mistake of ours must not cost a row')],
    ['outage', 'not even an error'],
  ])('%s: %s', (kind, error) => {
    expect(classifyFailure(error).kind).toBe(kind)
  })

  it('keeps the reason of an outage for the operator', () => {
    expect(classifyFailure(new StoreOutageError('away'))).toEqual({ kind: 'outage', reason: 'away' })
  })
})
