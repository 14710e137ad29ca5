// `make audit-deps`: known vulnerabilities in the packages that Plumbline ships with. Reads npm's report from standard
// input, since npm runs on a different Node. Exit code 1: action needed; 2: unknown.
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { judgeAdvisories, judgeLicences } from './core/judge.ts'

const lock = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
const verdicts = [judgeAdvisories(await text(process.stdin)), judgeLicences(lock)]
for (const { code, lines } of verdicts) (code === 0 ? console.log : console.error)(lines.join('\n  '))
process.exitCode = verdicts.some(({ code }) => code === 1) ? 1 : Math.max(...verdicts.map(({ code }) => code))
