import { describe, expect, test } from 'vitest'
import { CHECK_WORK_MAX, workOf } from './bounds.ts'
import { incompatibilities } from './compatibility.ts'
import { candidateOf } from './decide.ts'
import { loadSchema } from '../../schemas/load.ts'

const union = (branches: number, name = 'R') =>
  Array.from({ length: branches }, (_, i) => ({
    type: 'record',
    name: `${name}${i}`,
    fields: [{ name: 'x', type: 'int' }],
  }))
const candidate = (schema: unknown) =>
  candidateOf('s', { schema: typeof schema === 'string' ? schema : JSON.stringify(schema) })

describe('security 7: a schema that would keep the registry busy', () => {
  test('is refused before it is compared, with its size and the limit', () => {
    expect(() => candidate(union(1_000))).toThrow(/1002001 types and pairs of branches in unions; the limit is 12000/)
    const nested = union(50).map((record, i) => ({ ...record, fields: [{ name: 'y', type: union(50, `I${i}_`) }] }))
    expect(() => candidate(nested)).toThrow('the limit is 12000')
  })

  test('is refused for its depth, wherever it is nested', () => {
    const deep = (levels: number): string => `${'{"type":"array","items":'.repeat(levels)}"int"${'}'.repeat(levels)}`
    expect(candidate(deep(250)).canonical).toContain('int')
    expect(() => candidate(deep(10_000))).toThrow('nested deeper than the limit of 300')
    const attribute = `{"type":"record","name":"R","fields":[],"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`
    expect(() => candidate(attribute)).toThrow('nested deeper than the limit of 300')
    expect(candidate(`{"type":"record","name":"R","fields":[],"doc":"${'['.repeat(5_000)}\\""}`).subject).toBe('s')
  })

  test('may be as large as real ones are, and the largest one is compared', () => {
    expect(workOf(JSON.stringify(loadSchema('reading')))).toBeLessThan(200)
    const fields = Array.from({ length: 1_500 }, (_, i) => ({ name: `f${i}`, type: ['null', 'double'], default: null }))
    expect(candidate({ type: 'record', name: 'Wide', fields }).subject).toBe('s')
    const large = candidate(union(100)).canonical
    expect(
      incompatibilities(
        'FULL_TRANSITIVE',
        large,
        Array.from({ length: 3 }, () => large),
      ),
    ).toEqual([])
    expect(incompatibilities('BACKWARD', candidate(union(100, 'Q')).canonical, [large])).toHaveLength(1)
  })

  test('is refused when there are too many versions to compare it with', () => {
    const large = candidate(union(100)).canonical
    const versions = Array.from({ length: Math.ceil(CHECK_WORK_MAX / 10_000) + 1 }, () => large)
    expect(() => incompatibilities('FULL_TRANSITIVE', large, versions)).toThrow('the limit is 200000')
    expect(incompatibilities('FULL', large, versions)).toEqual([])
  })
})
