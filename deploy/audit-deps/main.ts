// `make audit-deps`: what is known against the packages that Plumbline ships with. Reads npm's report from standard
// input, since npm runs by another Node than this. Exit code 1: something to do; 2: it could not be found out.
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { judgeAdvisories, judgeLicences } from './core/judge.ts'

const lock = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
const verdicts = [judgeAdvisories(await text(process.stdin)), judgeLicences(lock)]
for (const { code, lines } of verdicts) (code === 0 ? console.log : console.error)(lines.join('\n  '))
process.exitCode = verdicts.some(({ code }) => code === 1) ? 1 : Math.max(...verdicts.map(({ code }) => code))
