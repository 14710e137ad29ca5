// `make sim` and `make sim-mutations`: runs seeds, reports progress on standard error and, for a failed run, what was
// wrong, what had happened before, and how to reproduce it.
import { writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { MUTATIONS } from './mutations/all.ts'
import { type Outcome, runSeed } from './run.ts'

interface Seeds {
  readonly from: number
  readonly to: number
}

const FAULTS_SHOWN = 40

const say = (text: string): void => void process.stderr.write(`${text}\n`)

function seedsOf(text: string): Seeds {
  const match = /^(\d{1,9})(?:\.\.(\d{1,9}))?$/.exec(text)
  const from = Number(match?.[1])
  const to = Number(match?.[2] ?? match?.[1])
  if (match === null || to < from)
    throw new InvalidArgumentError('expected a seed or a range of seeds, as 42 or 1..500')
  return { from, to }
}

const program = new Command('sim').description('the whole pipeline on an in-memory broker, under seeded faults')

program
  .command('run', { isDefault: true })
  .description('run seeds; exit code 1 when one fails')
  .option('--seeds <range>', 'a seed, or from..to', seedsOf, { from: 1, to: 100 })
  .option('--trace <file>', 'write what happened in the last run, line by line')
  .option('--keep-going', 'do not stop at the first failure')
  .action(async ({ seeds, trace, keepGoing }: { seeds: Seeds; trace?: string; keepGoing?: true }) => {
    const started = performance.now()
    let failed = 0
    let readings = 0
    let seed = seeds.from
    for (; seed <= seeds.to; seed += 1) {
      const outcome = await runSeed(seed, { keepTrace: trace !== undefined })
      readings += outcome.readings
      if (trace !== undefined) writeFileSync(trace, `${outcome.trace.join('\n')}\n`)
      if (seeds.from === seeds.to) say(summary(outcome))
      else progress(seed, seeds, started)
      if (outcome.failures.length === 0) continue
      failed += 1
      explain(outcome)
      if (!keepGoing) break
    }
    const ran = Math.min(seed, seeds.to) - seeds.from + 1
    say(`${ran} runs, ${readings} readings, ${failed} failed`)
    if (failed > 0) process.exitCode = 1
  })

program
  .command('mutations')
  .description('put in one bug after the other; exit code 1 when one is not found')
  .option('--seeds <range>', 'where to look for them', seedsOf, { from: 1, to: 500 })
  .option('--finds <count>', 'how many seeds that find it to name', Number, 1)
  .action(async ({ seeds, finds }: { seeds: Seeds; finds: number }) => {
    for (const { name, ...bug } of MUTATIONS) {
      const began = performance.now()
      const found: Outcome[] = []
      for (let seed = seeds.from; seed <= seeds.to && found.length < finds; seed += 1) {
        const outcome = await runSeed(seed, { bug })
        if (outcome.failures.length > 0) found.push(outcome)
      }
      if (found.length === 0) {
        say(`NOT FOUND: ${name}`)
        process.exitCode = 1
      }
      const tookS = Math.round((performance.now() - began) / 1_000)
      for (const { seed, failures } of found) say(`${name}: found by seed ${seed}, ${failures[0].check} (${tookS} s)`)
    }
  })

const summary = ({ seed, hash, readings, faults, events, virtualMs }: Outcome): string =>
  `seed ${seed}: ${readings} readings, ${faults.length} faults, ${events} events in ${(virtualMs / 1_000).toFixed(1)} s of its time, trace ${hash}`

/** An updating line on a terminal; elsewhere, a line for every hundred. */
function progress(seed: number, { from, to }: Seeds, started: number): void {
  const perRunMs = (performance.now() - started) / (seed - from + 1)
  const text = `seed ${seed} of ${from}..${to}, ${Math.ceil(((to - seed) * perRunMs) / 1_000)} s left`
  if (process.stderr.isTTY) process.stderr.write(`\r${text}\u001b[K${seed === to ? '\n' : ''}`)
  else if ((seed - from + 1) % 100 === 0) say(text)
}

function explain({ seed, failures, faults }: Outcome): void {
  say(`\nseed ${seed} failed:`)
  for (const { check, problem } of failures) say(`  ${check}: ${problem}`)
  say('what had happened, ms of its time:')
  if (faults.length > FAULTS_SHOWN) say(`  … ${faults.length - FAULTS_SHOWN} more`)
  for (const fault of faults.slice(-FAULTS_SHOWN)) say(`  ${fault}`)
  say(`again, with everything that happens: make sim SEED=${seed} ARGS="--trace trace.txt"\n`)
}

await program.parseAsync()
