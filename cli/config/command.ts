// `plumbline config`: the runtime configuration of everything that runs, through the query API.
import { Command } from 'commander'
import { InputError } from '../../platform/errors.ts'
import { changeConfig, readConfig, type ConfigAnswer, type Scopes } from './change.ts'
import { parseName, parsePairs, renderApplied, renderScopes, renderSettings, withoutValues, withValues } from './core/edit.ts' // prettier-ignore
import { escapeControls } from '../core/decode.ts'
import { parseDuration } from '../../platform/duration.ts'

type Env = Readonly<Record<string, string>>

/** The query API's maximum wait. */
const WAIT_MAX_MS = 60_000

const EXAMPLES = `
Examples:
  plumbline config list                                     what can be set, its bounds and what is set
  plumbline config set detector.z=4                         for the whole fleet
  plumbline config set detector.z=4 --scope site:plant-1    for one site; of several scopes the more specific wins:
                                                            node:ID, site:ID, detector:METRIC, fleet
  plumbline config set producer.rate_hz=2 --scope node:node-0001 --wait 30s
                                                            exit code 1 where somebody has not applied it in time
  plumbline config unset detector.z --scope site:plant-1    back to what the less specific scopes say
  plumbline config get --json | jq .pending`

interface ShowOptions {
  readonly json?: true
}
interface ChangeOptions extends ShowOptions {
  readonly scope: string
  readonly wait?: string
}

export function configCommand(env: Env): Command {
  const command = new Command('config')
    .description('show and change the configuration of everything that runs')
    .addHelpText('after', EXAMPLES)
  command
    .command('get')
    .description('what is set, and who has applied it')
    .option('--json', 'print JSON')
    .action(async ({ json }: ShowOptions) => show(await readConfig(env), json))
  command
    .command('list')
    .description('the settings that exist, with bounds, scopes and what is set')
    .action(async () => print(renderSettings((await readConfig(env)).scopes)))
  withChangeOptions(command.command('set <name=value...>'))
    .description('set values of a scope')
    .action((pairs: string[], options: ChangeOptions) => {
      const values = parsePairs(pairs)
      return change(env, options, (scopes) => withValues(scopes, options.scope, values))
    })
  withChangeOptions(command.command('unset [name...]'))
    .description('take values of a scope away; without names all of them')
    .action((names: string[], options: ChangeOptions) => {
      const taken = names.map(parseName)
      return change(env, options, (scopes) => withoutValues(scopes, options.scope, taken))
    })
  return command
}

const withChangeOptions = (command: Command): Command =>
  command
    .option('--scope <scope>', 'fleet, site:ID, node:ID or detector:METRIC', 'fleet')
    .option('--wait <duration>', 'wait until all that are there have applied it: 30s')
    .option('--json', 'print JSON')

async function change(env: Env, { wait, json }: ChangeOptions, edit: (scopes: Scopes) => Scopes): Promise<void> {
  const waitMs = wait === undefined ? 0 : parseDuration(wait, '--wait')
  if (waitMs > WAIT_MAX_MS)
    throw new InputError('DURATION', '--wait', `--wait is "${wait}": at most ${WAIT_MAX_MS / 1_000}s`)
  const answer = await changeConfig(env, edit, Math.round(waitMs))
  show(answer, json)
  if (wait !== undefined && answer.pending.length > 0) process.exitCode = 1
}

function show(answer: ConfigAnswer, json: true | undefined): void {
  if (json) return print(JSON.stringify(answer, null, 2))
  print(`${renderScopes(answer.scopes)}\n\n${renderApplied(answer)}`)
}

/** Site and node names are untrusted. */
const print = (text: string): void => void process.stdout.write(`${escapeControls(text)}\n`)
