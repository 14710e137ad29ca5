// Counts what vitest's JSON report says, distrustfully: a report that is missing, a file that failed to load, a run
// that ended badly although no test failed, and a run of nothing are failures as well.

export interface Totals {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  /** What the counts alone do not say. */
  readonly problems: readonly string[]
}

interface FileResult {
  /** Path of the test file. */
  readonly name: string
  readonly status: string
  /** ms since 1970. */
  readonly startTime: number
  readonly endTime: number
  readonly assertionResults: readonly { readonly status: string; readonly fullName: string }[]
}

interface Report {
  readonly testResults: readonly FileResult[]
}

/** A project's files, as vitest.config.ts tells them apart by name. */
const isOf = (project: string, file: string): boolean =>
  project === (/\.(real|docker)\.test\.ts$/.exec(file)?.[1] ?? 'unit')

/**
 * @param projects each of them must have run at least one test
 * @param text the report; null: there is none
 * @param ok whether the run itself ended well
 */
export function readReport(projects: readonly string[], text: string | null, ok: boolean): Totals {
  if (text === null) return failure('the tests left no report')
  const { testResults } = JSON.parse(text) as Report
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const passed = tests.filter(({ status }) => status === 'passed').length
  const failedTests = tests.filter(({ status }) => status === 'failed').length
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.every((test) => test.status !== 'failed'),
  )
  const problems = broken.map(({ name }) => `${name} could not be run to its end`)
  for (const project of projects) if (!hasRun(project, testResults)) problems.push(`no ${project} test ran`)
  if (!ok && failedTests + problems.length === 0) problems.push('the test run failed although no test did')
  return { passed, failed: failedTests + problems.length, skipped: tests.length - passed - failedTests, problems }
}

const hasRun = (project: string, results: readonly FileResult[]): boolean =>
  results.some(
    ({ name, assertionResults }) =>
      isOf(project, name) && assertionResults.some(({ status }) => status === 'passed' || status === 'failed'),
  )

/** The files that took longest, in lines: "  93 s  test/faults/kills.real.test.ts". */
export function slowest(text: string, root: string, count: number): string[] {
  const { testResults } = JSON.parse(text) as Report
  return testResults
    .map(({ name, startTime, endTime }) => ({ name: name.replace(`${root}/`, ''), ms: endTime - startTime }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, count)
    .map(({ name, ms }) => `${(ms / 1_000).toFixed(0).padStart(4)} s  ${name}`)
}

/** @param strict a skipped test is a failure: where everything can be had, nothing may be left out */
export function addUp(parts: readonly Totals[], strict: boolean): Totals {
  const sum = (read: (totals: Totals) => number): number => parts.reduce((all, totals) => all + read(totals), 0)
  const skipped = sum(({ skipped: count }) => count)
  const problems = parts.flatMap((totals) => totals.problems)
  if (strict && skipped > 0) problems.push(`${skipped} tests were skipped, which is a failure here (CI=true)`)
  return {
    passed: sum(({ passed }) => passed),
    failed: sum(({ failed }) => failed) + (strict && skipped > 0 ? 1 : 0),
    skipped,
    problems,
  }
}

const failure = (problem: string): Totals => ({ passed: 0, failed: 1, skipped: 0, problems: [problem] })
