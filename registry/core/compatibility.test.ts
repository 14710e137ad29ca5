import { describe, expect, it } from 'vitest'
import { avroType, incompatibilities, LEVELS, levelOf, type Level } from './compatibility.ts'
import { Refusal } from './refusal.ts'

const record = (...fields: object[]): string => JSON.stringify({ type: 'record', name: 'R', fields })
const X = { name: 'x', type: 'int' }
const Y_REQUIRED = { name: 'y', type: 'int' }
const Y_DEFAULT = { name: 'y', type: 'int', default: 0 }

/** [what, earlier versions, candidate, levels that allow it besides NONE] */
const CASES: [string, string[], string, Level[]][] = [
  ['the first version', [], record(X), [...LEVELS]],
  [
    'a new field with a default',
    [record(X)],
    record(X, Y_DEFAULT),
    ['BACKWARD', 'BACKWARD_TRANSITIVE', 'FORWARD', 'FORWARD_TRANSITIVE', 'FULL', 'FULL_TRANSITIVE'],
  ],
  ['a new field without a default', [record(X)], record(X, Y_REQUIRED), ['FORWARD', 'FORWARD_TRANSITIVE']],
  ['a field without a default removed', [record(X, Y_REQUIRED)], record(X), ['BACKWARD', 'BACKWARD_TRANSITIVE']],
  ['int widened to long', [record(X)], record({ name: 'x', type: 'long' }), ['BACKWARD', 'BACKWARD_TRANSITIVE']],
  ['int changed to string', [record(X)], record({ name: 'x', type: 'string' }), []],
  [
    'a union widened',
    [record({ name: 'x', type: ['null', 'int'] })],
    record({ name: 'x', type: ['null', 'int', 'string'] }),
    ['BACKWARD', 'BACKWARD_TRANSITIVE'],
  ],
  ['a union narrowed', [record({ name: 'x', type: ['null', 'int'] })], record(X), ['FORWARD', 'FORWARD_TRANSITIVE']],
  [
    'readable with the last version but not with the one before',
    [record(X), record(X, Y_DEFAULT)],
    record(X, Y_REQUIRED),
    ['BACKWARD', 'FORWARD', 'FORWARD_TRANSITIVE', 'FULL'],
  ],
]

describe('compatibility', () => {
  for (const [what, earlier, candidate, allowed] of CASES) {
    it.each(LEVELS)(`judges ${what} under %s`, (level) => {
      const expected = level === 'NONE' || allowed.includes(level)
      expect(incompatibilities(level, candidate, earlier).length === 0).toBe(expected)
    })
  }

  it('says in which direction reading fails, and where', () => {
    const [reason] = incompatibilities('BACKWARD', record(X, Y_REQUIRED), [record(X)])
    expect(reason).toMatch(/the new schema cannot read earlier data.*y/)
  })

  it('takes level names in any case and nothing else', () => {
    expect(levelOf('full_transitive')).toBe('FULL_TRANSITIVE')
    for (const bad of ['FULLY', '', null, 3, undefined]) expect(levelOf(bad)).toBeNull()
  })

  it.each([
    ['not JSON', '{'],
    ['an unknown type', '"nope"'],
    ['a record without fields', '{"type":"record","name":"R"}'],
    ['a default of another type', record({ name: 'x', type: 'int', default: 'a' })],
    ['nesting deeper than the stack', `${'{"type":"array","items":'.repeat(20_000)}"int"${'}'.repeat(20_000)}`],
  ])('refuses %s as an invalid schema', (_what, text) => {
    expect(() => avroType(text)).toThrow(Refusal)
    expect(() => avroType(text)).toThrow(expect.objectContaining({ errorCode: 42201 }) as Error)
  })
})
