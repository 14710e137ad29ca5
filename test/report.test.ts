import { expect, it } from 'vitest'
import { addUp, readReport, slowest } from './report.ts'

const file = (name: string, status: string, ...tests: string[]) => ({
  name,
  status,
  startTime: 0,
  endTime: 1_000 * tests.length,
  assertionResults: tests.map((test, i) => ({ status: test, fullName: `${name} ${i}` })),
})
const report = (...testResults: ReturnType<typeof file>[]): string => JSON.stringify({ testResults })

it('passed, failed and skipped tests are counted', () => {
  const text = report(
    file('a', 'passed', 'passed', 'passed', 'pending'),
    file('b', 'failed', 'failed', 'passed', 'todo'),
  )
  expect(readReport(['unit'], text, false)).toMatchObject({ passed: 3, failed: 1, skipped: 2, problems: [] })
})

it('a file that cannot be loaded is a failure although none of its tests failed', () => {
  expect(readReport(['unit'], report(file('a', 'passed', 'passed'), file('b', 'failed')), false)).toMatchObject({
    passed: 1,
    failed: 1,
  })
})

it('a run of nothing, a run without report and a run that ends badly are failures', () => {
  expect(readReport(['real'], report(), true).failed).toBe(1)
  expect(readReport(['real'], null, true).failed).toBe(1)
  expect(readReport(['real'], report(file('a.real.test.ts', 'passed', 'passed')), false).failed).toBe(1)
})

it('where everything can be had, a skipped test is a failure', () => {
  const part = readReport(['unit'], report(file('a', 'passed', 'passed', 'skipped')), true)
  expect(addUp([part], false)).toMatchObject({ passed: 1, failed: 0, skipped: 1 })
  expect(addUp([part], true)).toMatchObject({ passed: 1, failed: 1, skipped: 1 })
})

it('every project must have run a test of its own', () => {
  const text = report(file('a.test.ts', 'passed', 'passed'), file('b.real.test.ts', 'passed', 'skipped'))
  expect(readReport(['unit'], text, true).failed).toBe(0)
  expect(readReport(['unit', 'real'], text, true)).toMatchObject({ failed: 1, problems: ['no real test ran'] })
})

it('the slowest files are named with their seconds, the slowest first', () => {
  const text = report(
    file('/root/a', 'passed', 'passed'),
    file('/root/b', 'passed', 'passed', 'passed'),
    file('c', 'passed'),
  )
  expect(slowest(text, '/root', 2)).toEqual(['   2 s  b', '   1 s  a'])
})
