// The expected texts are what Avro's Java library 1.11.4 prints for the same input.
import fc from 'fast-check'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { canonicalText } from './canonical.ts'

describe('canonical text', () => {
  it.each([
    ['a primitive in an object', '{"type": "string"}', '"string"'],
    [
      'attributes in another order',
      '{"name":"R","type":"record","fields":[],"namespace":"a.b","doc":"d"}',
      '{"type":"record","name":"R","namespace":"a.b","doc":"d","fields":[]}',
    ],
    [
      'full names inside their own namespace, custom attributes and the default order',
      '{"type":"record","name":"a.b.R","fields":[{"type":"int","name":"x","default":1,"unit":"W","order":"ascending","doc":"q"},{"name":"n","type":["null","a.b.R"],"default":null}]}',
      '{"type":"record","name":"R","namespace":"a.b","fields":[{"name":"x","type":"int","doc":"q","default":1,"unit":"W"},{"name":"n","type":["null","R"],"default":null}]}',
    ],
    [
      'named types inside others, in and out of the namespace',
      '{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"E","symbols":["A","B"],"default":"A","doc":"e","aliases":["F"],"z":1}},{"name":"z","type":{"type":"fixed","name":"c.F","size":4}},{"name":"w","type":"c.F"}]}',
      '{"type":"record","name":"R","namespace":"a","fields":[{"name":"x","type":{"type":"enum","name":"E","doc":"e","symbols":["A","B"],"default":"A","z":1,"aliases":["F"]}},{"name":"z","type":{"type":"fixed","name":"F","namespace":"c","size":4}},{"name":"w","type":"c.F"}]}',
    ],
    [
      'numbers',
      '{"type":"double","a":[1e7,9999999.5,0.001,0.00099,-1.5e-10,1E2,0.50,-0.0,100,9007199254740993]}',
      '{"type":"double","a":[1.0E7,9999999.5,0.001,9.9E-4,-1.5E-10,100.0,0.5,-0.0,100,9007199254740993]}',
    ],
    [
      'collections with attributes, aliases after them',
      '{"type":"record","name":"R","aliases":["Q"],"custom":{"k":[1,2.50,null]},"fields":[{"name":"x","type":{"type":"map","values":"string","q":1},"aliases":["y"],"order":"ignore","default":{}}]}',
      '{"type":"record","name":"R","fields":[{"name":"x","type":{"type":"map","values":"string","q":1},"default":{},"order":"ignore","aliases":["y"]}],"custom":{"k":[1,2.5,null]},"aliases":["Q"]}',
    ],
  ])('is the one that Avro for Java prints: %s', (_what, given, expected) => {
    expect(canonicalText(given)).toBe(expected)
  })

  it('keeps every attribute of the metrics, and is its own canonical text', () => {
    for (const file of readdirSync('schemas').filter((name) => name.endsWith('.avsc'))) {
      const text = readFileSync(`schemas/${file}`, 'utf8')
      const canonical = canonicalText(text)
      expect(JSON.parse(canonical)).toEqual(JSON.parse(text))
      expect(canonicalText(canonical)).toBe(canonical)
    }
  })

  it('does not depend on the order of attributes nor on white space', () => {
    const field = fc.record({
      name: fc.stringMatching(/^[a-z]{1,8}$/),
      type: fc.constantFrom('int', 'string', 'double'),
      doc: fc.string(),
      unit: fc.string(),
    })
    const record = fc.record({
      type: fc.constant('record'),
      name: fc.constant('R'),
      namespace: fc.constant('n'),
      fields: fc.array(field, { maxLength: 4 }),
    })
    const shuffled = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.map(shuffled)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([key, member]) => [key, shuffled(member)]),
            )
          : value
    fc.assert(
      fc.property(
        record,
        (schema) => canonicalText(JSON.stringify(shuffled(schema), null, 2)) === canonicalText(JSON.stringify(schema)),
      ),
    )
  })
})
