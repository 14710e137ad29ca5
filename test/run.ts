// The whole check, as `make test` runs it: rules, formatting and types beside the tests. Every part runs, whatever
// another one said, and the last line counts: N passed, N failed, N skipped. It is made of vitest’s own report, so it
// cannot claim what was not run.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { notRun } from './clients/toolchains.ts'
import { addUp, readReport, slowest, type Totals } from './report.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/\/$/, '')
const CHECKS = [
  { name: 'lint', command: ['eslint', '.'] },
  { name: 'formatting', command: ['prettier', '--check', '--log-level', 'warn', '.'] },
  { name: 'types', command: ['tsc', '--noEmit'] },
]
/** Containers need an engine and minutes, so they are asked for: .ci/run does where there is an engine. */
const WITH_COMPOSE = process.env.TEST_COMPOSE === '1'
const PROJECTS = ['unit', 'real', ...(WITH_COMPOSE ? ['docker'] : [])]
const SLOWEST = 10

const say = (text: string): void => void process.stdout.write(`${text}\n`)

interface Ended {
  readonly ok: boolean
  /** Empty where the output was shown at once. */
  readonly output: string
}

function run([program, ...args]: readonly string[], shown: 'at once' | 'at the end'): Promise<Ended> {
  const child = spawn(join(ROOT, 'node_modules/.bin', program), args, {
    cwd: ROOT,
    stdio: shown === 'at once' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (bytes: Buffer) => (output += bytes.toString()))
  return new Promise((resolve) => {
    child.once('error', (error) => resolve({ ok: false, output: error.message }))
    child.once('close', (code) => resolve({ ok: code === 0, output }))
  })
}

/** One after the other: each takes a core. A check counts only when it fails: it is no test. */
async function runChecks(): Promise<Totals[]> {
  const totals: Totals[] = []
  for (const { name, command } of CHECKS) {
    const { ok, output } = await run(command, 'at the end')
    say(`${output.trim() === '' ? '' : `${output.trimEnd()}\n`}${name}: ${ok ? 'ok' : 'FAILED'}`)
    totals.push({ passed: 0, failed: ok ? 0 : 1, skipped: 0, problems: ok ? [] : [`${name} failed`] })
  }
  return totals
}

async function runTests(folder: string): Promise<Totals> {
  const file = join(folder, 'report.json')
  const projects = PROJECTS.flatMap((project) => ['--project', project])
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const { ok } = await run(['vitest', 'run', ...projects, ...reporters], 'at once')
  const text = existsSync(file) ? readFileSync(file, 'utf8') : null
  if (text !== null) say(`\nthe slowest files:\n${slowest(text, ROOT, SLOWEST).join('\n')}`)
  return readReport(PROJECTS, text, ok)
}

const folder = mkdtempSync(join(tmpdir(), 'plumbline-test-'))
try {
  const [checks, tests] = await Promise.all([runChecks(), runTests(folder)])
  const { passed, failed, skipped, problems } = addUp([...checks, tests], process.env.CI === 'true')
  say('')
  for (const problem of problems) say(`! ${problem}`)
  if (!process.env.TDENGINE_URL) say('not run: the store contract on a real TDengine, since TDENGINE_URL is not set')
  if (!WITH_COMPOSE) say('not run: docker compose for real, which is make test-compose or TEST_COMPOSE=1')
  for (const line of notRun()) say(line)
  say(`${passed} passed, ${failed} failed, ${skipped} skipped`)
  process.exitCode = failed === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
