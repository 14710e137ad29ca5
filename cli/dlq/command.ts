// `plumbline dlq`: looks at dead letters and deals with them. A replay sends the original key and value again and an
// outcome is kept for good, so that no letter is dealt with twice, whatever is killed or repeated (dlq/outcomes.ts).
import { Command, Option } from 'commander'
import { InputError } from '../../platform/errors.ts'
import { DLQ } from '../../schemas/topics.ts'
import { whole } from '../arguments.ts'
import { parsePlace, placeText } from '../../platform/dead-letters/letter.ts'
import { escapeControls } from '../core/decode.ts'
import { type LetterFilter, meansAll, parseWhen } from './core/filter.ts'
import type { LetterState, Outcome } from '../../platform/dead-letters/marks.ts'
import { routeText } from './core/report.ts'
import { listLetters, showLetter } from './look.ts'
import { runOutcome } from './run.ts'
import { Progress } from '../progress.ts'
import { type Connected, withKafka } from '../with-kafka.ts'

type Env = Readonly<Record<string, string>>

const LIST_DEFAULT = 50
const LIST_MAX = 10_000
/** What a dry run says letter by letter; --json says all of it. */
const DRY_RUN_LINES = 50
const INTERRUPTED = 130

const LIST_EXAMPLES = `
Examples:
  plumbline dlq list                                 the oldest 50
  plumbline dlq list --summary                       counts by reason
  plumbline dlq list --reason UNKNOWN_SCHEMA --state open --since 2h
  plumbline dlq list --sensor acme/power-0001 --json one JSON object a line`

const SHOW_EXAMPLES = `
Examples:
  plumbline dlq show 3@14
  plumbline dlq show 3@14 --json | jq -r .value_base64 | base64 -d | xxd`

const REPLAY_EXAMPLES = `
Sends the original key and value to telemetry.raw again, each dead letter once: killed or repeated, it continues where it
stopped. A reading whose place in its sensor's order was taken when it was refused goes to telemetry.late, and as the
latest write into the store. What is sure to be refused again stays open. After registering a schema wait 30 s: so long
refine does not ask for it again.

Examples:
  plumbline dlq replay --dry-run                     what would happen, and nothing is sent
  plumbline dlq replay --reason UNKNOWN_SCHEMA       once the schema is registered
  plumbline dlq replay --stage refine --since 2026-11-21T12:00:00Z --limit 100
  plumbline dlq replay 3@14 3@15`

const DROP_EXAMPLES = `
Marks dead letters as dealt with. Nothing is removed: retention does that.

Examples:
  plumbline dlq drop --reason NOT_FRAMED --dry-run
  plumbline dlq drop 3@14
  plumbline dlq drop --all`

export function dlqCommand(env: Env): Command {
  const list = withFilters(new Command('list'))
    .description('dead letters with their reasons and states')
    .addOption(new Option('--state <state>', 'only these').choices(['open', 'replayed', 'dropped']))
    .addOption(new Option('--limit <n>', 'how many').default(LIST_DEFAULT).argParser(whole(1, LIST_MAX)))
    .option('--summary', 'count by reason instead')
    .option('--json', 'print JSON')
    .addHelpText('after', LIST_EXAMPLES)
    .action((options: FilterOptions) => withDlq(env, (at) => printList(at, options)))
  const show = new Command('show')
    .description('one dead letter with headers, decoded value and bytes')
    .argument('<place>', 'partition@offset, as "list" shows it')
    .option('--json', 'print JSON, with key and value in base64')
    .addHelpText('after', SHOW_EXAMPLES)
    .action((place: string, { json }: { json?: true }) =>
      withDlq(env, async (at) => print(await showLetter(at, parsePlace(place), json ?? false))),
    )
  return new Command('dlq')
    .description('look at dead letters, send them again or drop them')
    .addCommand(list)
    .addCommand(show)
    .addCommand(outcomeCommand(env, 'replay', 'send the original bytes again, each dead letter once', REPLAY_EXAMPLES))
    .addCommand(
      outcomeCommand(env, 'drop', 'mark dead letters as dealt with', DROP_EXAMPLES).option(
        '--all',
        'every open dead letter',
      ),
    )
}

interface FilterOptions {
  readonly reason?: string
  readonly topic?: string
  readonly partition?: number
  readonly sensor?: string
  readonly stage?: string
  readonly since?: string
  readonly until?: string
  readonly state?: LetterState
  readonly limit?: number
  readonly summary?: true
  readonly json?: true
  readonly dryRun?: true
  readonly all?: true
}

const withFilters = (command: Command): Command =>
  command
    .option('--reason <reason>', 'refused for this reason: UNKNOWN_SCHEMA, NOT_FRAMED, …')
    .option('--topic <topic>', 'the refused record came from this topic')
    .addOption(new Option('--partition <n>', 'in this partition').argParser(whole(0, 100_000)))
    .option('--sensor <key>', 'of this sensor: tenant/sensor, or the sensor alone')
    .option('--stage <stage>', 'refused by this stage: refine, or one of the sinks')
    .option('--since <time>', 'arrived at or after: ISO 8601, ms since 1970, or 2h for two hours ago')
    .option('--until <time>', 'arrived before')

const outcomeCommand = (env: Env, name: 'replay' | 'drop', description: string, examples: string): Command =>
  withFilters(new Command(name))
    .description(description)
    .argument('[places...]', 'partition@offset; without any: all open ones that the options leave')
    .addOption(new Option('--limit <n>', 'at most so many').argParser(whole(1, Number.MAX_SAFE_INTEGER)))
    .option('--dry-run', 'say what would happen, and do nothing')
    .option('--json', 'print JSON')
    .addHelpText('after', examples)
    .action((places: string[], options: FilterOptions) =>
      withDlq(env, (at) => settle(at, name === 'replay' ? 'replayed' : 'dropped', places, options)),
    )

function withDlq(env: Env, work: (at: Connected) => Promise<void>): Promise<void> {
  return withKafka(env, async (at) => {
    if ((await at.admin.listTopics()).includes(DLQ)) return work(at)
    throw new InputError('UNKNOWN_TOPIC', 'topic', `there is no topic ${DLQ} yet: "plumbline up" makes it`)
  })
}

function filterOf(options: FilterOptions, places: readonly string[] = []): LetterFilter {
  const { reason, topic, partition, sensor, stage, since, until, state } = options
  const nowMs = Date.now()
  return {
    ...{ reason, topic, partition, sensor, stage, state },
    sinceMs: since === undefined ? undefined : parseWhen(since, 'since', nowMs),
    untilMs: until === undefined ? undefined : parseWhen(until, 'until', nowMs),
    places: new Set(places.map((text) => placeText(parsePlace(text)))),
  }
}

async function printList(at: Connected, options: FilterOptions): Promise<void> {
  const progress = new Progress('dlq list', 'dead letters read')
  print(
    await listLetters(at, {
      filter: filterOf(options),
      limit: options.limit ?? LIST_DEFAULT,
      summary: options.summary ?? false,
      json: options.json ?? false,
      signal: interruption(),
      onRead: (count) => progress.add(count),
    }),
  )
}

async function settle(
  at: Connected,
  outcome: Outcome,
  places: readonly string[],
  options: FilterOptions,
): Promise<void> {
  const filter = filterOf(options, places)
  const dryRun = options.dryRun ?? false
  const json = options.json ?? false
  if (outcome === 'dropped' && !dryRun && options.all !== true && meansAll(filter))
    throw new InputError('MISSING', 'places', 'say which dead letters to drop: by place, by an option, or --all')
  const progress = new Progress(`dlq ${outcome === 'replayed' ? 'replay' : 'drop'}`, 'dead letters read')
  let lines = 0
  const report = await runOutcome({
    ...at,
    ...{ outcome, filter, dryRun, limit: options.limit ?? Infinity, signal: interruption() },
    onRead: (count) => progress.add(count),
    onLetter: (letter, route) => {
      if (!dryRun) return
      lines += 1
      const what = route === null ? 'is marked as dropped' : routeText(letter, route)
      if (json) print(JSON.stringify({ place: placeText(letter), reason: letter.reason, what }))
      else if (lines <= DRY_RUN_LINES) print(escapeControls(`${placeText(letter)}  ${letter.reason}  ${what}`))
    },
  })
  if (!json && lines > DRY_RUN_LINES)
    print(`… and ${(lines - DRY_RUN_LINES).toLocaleString('en')} more; --json names all`)
  if (places.length > 0 && report.done + report.stayed + report.settledEarlier === 0)
    throw new InputError(
      'NO_LETTER',
      'places',
      `there is no dead letter at ${places.join(', ')} that the options leave`,
    )
  print(json ? report.json() : report.text())
  if (report.stopped) process.exitCode = INTERRUPTED
}

const print = (text: string): void => void (text !== '' && process.stdout.write(`${text}\n`))

/** Ctrl-C ends the work after the current transaction; a second one ends the process. */
function interruption(): AbortSignal {
  const controller = new AbortController()
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort())
  return controller.signal
}
