import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { parseJsonOnce } from './json-document.ts'

const bytes = (text: string): Buffer => Buffer.from(text)

describe('a JSON document', () => {
  it.each([
    ['{"scopes":{},"scopes":{}}', 'scopes'],
    ['{"a":{"b":1,"c":[],"b":2}}', 'b'],
    ['{"a":1,"\\u0061":2}', 'a'],
    ['[{"x":1},{"x":1,"y":"}","x":3}]', 'x'],
    ['{"":1,"":2}', ''],
    ['{"__proto__":1,"__proto__":2}', '__proto__'],
  ])('security low: with a repeated name is refused by that name: %s', (text, field) => {
    expect(() => parseJsonOnce(bytes(text))).toThrow(expect.objectContaining({ code: 'JSON', field }))
  })

  it.each(['{"a":{"x":1},"b":{"x":1}}', '[{"x":1},{"x":1}]', '{"a":"{\\"a\\":1,\\"a\\":2}"}', '{"a":["a","a",":"]}'])(
    'may have a name in several objects, and texts that look like names: %s',
    (text) => expect(parseJsonOnce(bytes(text))).toEqual(JSON.parse(text)),
  )

  it('is otherwise read as JSON.parse reads it', () => {
    check(
      fc.property(fc.json(), (text) => {
        expect(parseJsonOnce(bytes(text))).toEqual(JSON.parse(text))
      }),
    )
  })

  it('must be JSON in UTF-8', () => {
    expect(() => parseJsonOnce(bytes('{"a":'))).toThrow(/is not JSON/)
    expect(() => parseJsonOnce(Buffer.from([0x22, 0xfc, 0x22]))).toThrow(/is not UTF-8/)
  })
})
