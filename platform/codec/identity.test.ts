import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  askedIdProblem,
  ID_BYTES_MAX,
  ID_FIELDS,
  idProblem,
  idProblemIn,
  NUMBER_MAX,
  numberProblem,
  sensorKey,
  sensorOfKey,
  tagProblem,
  TS_MS_MAX,
  tsProblem,
} from './identity.ts'

const text = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 300 }),
  fc.string({
    unit: fc.constantFrom('a', '.', '/', ' ', '\u007f', '\u009f', 'é', '測', '💡', '\uFFFD'),
    maxLength: 120,
  }),
)

describe('K5: one definition of an identity', () => {
  test.each([
    ['sensor_id', 'x'.repeat(257), 'sensor_id has 257 bytes; the limit is 256 bytes of UTF-8'],
    ['sensor_id', '測'.repeat(86), 'sensor_id has 258 bytes; the limit is 256 bytes of UTF-8'],
    ['sensor_id', '', 'sensor_id is empty'],
    ['node_id', 'a\u009b', 'node_id contains a control character (U+009B)'],
    ['site_id', '..', 'site_id is "..", which cannot be part of a URL\'s path'],
    ['tenant_id', 'a/b', 'tenant_id contains "/", which ends the tenant in a record\'s key'],
    ['sensor_id', 'a\uD800', 'sensor_id contains half of a surrogate pair, which has no UTF-8'],
  ] as const)('%s %j is refused in one voice', (field, given, message) => {
    expect(idProblem(field, given)).toBe(message)
  })

  test('takes names as people give them, of 256 bytes at most, and an empty site or node', () => {
    for (const given of ['a/b', 'Living room', '測'.repeat(85), '💡'.repeat(64), '...', '.a', '%', "'"])
      expect(idProblem('sensor_id', given)).toBeNull()
    expect([idProblem('site_id', ''), idProblem('node_id', '')]).toEqual([null, null])
  })

  test('says the same of bytes as of the text that they hold', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ID_FIELDS), text, fc.nat(9), (field, given, before) => {
        fc.pre(given.isWellFormed())
        const bytes = Buffer.from(given)
        const around = Buffer.concat([Buffer.alloc(before, 0xff), bytes, Buffer.alloc(3, 0xff)])
        expect(idProblemIn(field, around, before, bytes.length)).toBe(idProblem(field, given))
      }),
    )
  })

  test('K4: bytes that are not UTF-8 are refused, whatever else they hold', () => {
    for (const hex of ['4bfc686c', 'c080', 'eda080', 'f4908080', '80', 'c3'])
      expect(idProblemIn('sensor_id', Buffer.from(hex, 'hex'), 0, hex.length / 2)).toBe('sensor_id is not valid UTF-8')
  })

  test('K5: whatever was accepted can be asked for, also what was stored before these rules', () => {
    fc.assert(
      fc.property(fc.constantFrom(...ID_FIELDS), text, (field, given) => {
        fc.pre(given !== '' && idProblem(field, given) === null)
        expect(askedIdProblem('id', given)).toBeNull()
      }),
    )
    // 256 bytes that were not UTF-8.
    expect(askedIdProblem('id', Buffer.alloc(ID_BYTES_MAX, 0xff).toString())).toBeNull()
    expect(askedIdProblem('id', 'x'.repeat(257))).toBe('id has 257 bytes; the limit is 256 bytes of UTF-8')
  })

  test('two sensors never share a key, and a key says which sensor it is of', () => {
    fc.assert(
      fc.property(text, text, (tenant, sensor) => {
        fc.pre(idProblem('tenant_id', tenant) === null && idProblem('sensor_id', sensor) === null)
        expect(sensorOfKey(sensorKey(tenant, sensor))).toEqual({ tenant, sensor })
      }),
    )
    for (const key of ['', '/', 'a', 'a/', '/a']) expect(sensorOfKey(key)).toBeNull()
  })

  test('numbers, times and tags have one limit each', () => {
    expect([numberProblem('epoch', 0), numberProblem('seq', NUMBER_MAX)]).toEqual([null, null])
    expect(numberProblem('epoch', 2 ** 53 - 1)).toBe(
      'epoch is 9007199254740991; the limit is 4503599627370495 (2^52 - 1)',
    )
    expect(numberProblem('seq', -1)).toBe('seq is -1; it must be at least 0')
    expect([tsProblem(TS_MS_MAX), tsProblem(-1)]).toEqual([null, null])
    expect(tsProblem(TS_MS_MAX + 1)).toContain('the limit is 253402300799999')
    expect(tagProblem('', 'x')).toContain('empty name')
    expect(tagProblem('a', '\uDFFF')).toBe('tags.a contains half of a surrogate pair, which has no UTF-8')
    expect(tagProblem('a', 'x'.repeat(1_025))).toBe('tags.a has 1025 bytes; the limit is 1024 bytes of UTF-8')
  })
})
