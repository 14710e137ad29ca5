// `make sim`: runs seeds, says what failed and how to replay it.
import { writeFileSync } from 'node:fs'
import { runSeed } from './run.ts'

const [from, to] = (process.argv[2] ?? '1..10').split('..').map(Number)
let bad = 0
for (let seed = from; seed <= (to ?? from); seed += 1) {
  const started = performance.now()
  const outcome = await runSeed(seed, { keepTrace: process.argv[3] !== undefined })
  process.stderr.write(
    `${seed} ${outcome.hash} ${outcome.readings} readings ${outcome.events} events ${Math.round(outcome.virtualMs)} ms in ${Math.round(performance.now() - started)} ms, ${outcome.faults.length} faults ${outcome.failures.length} failures\n`,
  )
  if (outcome.failures.length > 0) {
    bad += 1
    for (const { check, problem } of outcome.failures.slice(0, 6)) process.stderr.write(`  ${check}: ${problem}\n`)
    if (process.argv[4]) for (const fault of outcome.faults) process.stderr.write(`    ${fault}\n`)
  }
  if (process.argv[3] !== undefined) writeFileSync(process.argv[3], outcome.trace.join('\n'))
}
process.stderr.write(`${bad} bad\n`)
