import { describe, expect, test } from 'vitest'
import { METRICS } from '../../../schemas/metrics.ts'
import { coreVersion, RULES } from './version.ts'

const metric = (name: string, min = 0, max = 100) => ({ name, min, max })
const BASE = [metric('a'), metric('b'), metric('c')]

describe('the version of the core', () => {
  test('is the same for the same metrics, in whatever order and with whatever unit they are declared', () => {
    expect(coreVersion([...BASE].reverse())).toBe(coreVersion(BASE))
    expect(coreVersion(METRICS.map((one) => ({ ...one, unit: 'x', doc: 'y' })))).toBe(coreVersion())
  })

  test.each([
    ['a metric in the middle', [BASE[0], metric('new'), BASE[1], BASE[2]]],
    ['a metric at the end', [...BASE, metric('new')]],
    ['one metric fewer', BASE.slice(1)],
    ['another name', [metric('aa'), BASE[1], BASE[2]]],
    ['another lower bound', [metric('a', -1), BASE[1], BASE[2]]],
    ['another upper bound', [metric('a', 0, 100.5), BASE[1], BASE[2]]],
  ])('is another with %s', (_, metrics) => {
    expect(coreVersion(metrics)).not.toBe(coreVersion(BASE))
  })

  test('is another with other rules, and shows their number', () => {
    expect(coreVersion(BASE, RULES + 1)).not.toBe(coreVersion(BASE))
    expect(coreVersion(BASE, 7)).toMatch(/^7-[0-9a-f]{8}$/)
  })
})
