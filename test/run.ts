// The whole check, as `make test` runs it: rules, formatting, types, then unit tests and tests on real parts. Every
// part runs, whatever the one before it said, and the last line counts: N passed, N failed, N skipped. It is made of
// vitest's own reports, so it cannot claim what was not run.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { addUp, readReport, type Totals } from './report.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const CHECKS = [
  { name: 'lint', command: ['eslint', '.'] },
  { name: 'formatting', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
]
/** Containers need an engine and minutes, so whoever has them asks for it: .ci/run does. */
const WITH_COMPOSE = process.env.TEST_COMPOSE === '1'
const PROJECTS = ['unit', 'real', ...(WITH_COMPOSE ? ['docker'] : [])]

const say = (text: string): void => void process.stdout.write(`${text}\n`)

function run([program, ...args]: readonly string[]): boolean {
  const { status } = spawnSync(join(ROOT, 'node_modules/.bin', program), args, { cwd: ROOT, stdio: 'inherit' })
  return status === 0
}

/** A check counts only when it fails: it is no test. */
function runCheck({ name, command }: { name: string; command: readonly string[] }): Totals {
  say(`\n— ${name}`)
  const ok = run(command)
  say(ok ? `${name}: ok` : `${name}: FAILED`)
  return { passed: 0, failed: ok ? 0 : 1, skipped: 0, problems: ok ? [] : [`${name} failed`] }
}

function runProject(project: string, folder: string): Totals {
  say(`\n— ${project} tests`)
  const file = join(folder, `${project}.json`)
  const ok = run([
    'vitest',
    'run',
    '--project',
    project,
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ])
  return readReport(project, existsSync(file) ? readFileSync(file, 'utf8') : null, ok)
}

const folder = mkdtempSync(join(tmpdir(), 'plumbline-test-'))
try {
  const parts = [...CHECKS.map(runCheck), ...PROJECTS.map((project) => runProject(project, folder))]
  const { passed, failed, skipped, problems } = addUp(parts, process.env.CI === 'true')
  say('')
  for (const problem of problems) say(`! ${problem}`)
  if (!process.env.TDENGINE_URL) say('not run: the store contract on a real TDengine, since TDENGINE_URL is not set')
  if (!WITH_COMPOSE) say('not run: docker compose for real, which is make test-compose or TEST_COMPOSE=1')
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
