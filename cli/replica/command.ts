// `plumbline replica`: runs a replica on this terminal, or compares what several have written.
import { Command } from 'commander'
import { InputError } from '../../platform/errors.ts'
import { checkedId } from '../../sinks/replica/arguments.ts'
import { runInForeground } from '../foreground.ts'
import { compareReplicas } from './diff.ts'
import { CommandError } from '../core/errors.ts'

const EXAMPLES = `
Examples:
  plumbline replica --id r1                 writes data/r1/{sensor}.csv, from the beginning of what is kept
  plumbline replica --id r1 --resume        continues where it stopped or was killed
  plumbline replica diff r1 r2 r3           are their rows the same, byte by byte?

Late readings are written separately, to data/r1/late/{partition}/{sensor}.csv. Nothing removes rows: a replica grows with
the order, by about 80 bytes a reading.`

const DIFF_EXAMPLES = `
Examples:
  plumbline replica diff r1 r2 r3
  plumbline replica diff r1 r2 --dir /srv/replicas

Replicas are compared up to the sequence that all of them have on disk, so they may keep running. Exit code 1: they differ.`

interface ReplicaOptions {
  readonly id?: string
  readonly dir: string
  readonly resume?: boolean
}

export function replicaCommand(env: Readonly<Record<string, string>>): Command {
  const diff = new Command('diff')
    .description('compare the files of replicas; exit code 1 if they differ')
    .argument('<id...>', 'replicas, two or more')
    .option('--dir <folder>', 'folder that contains theirs', 'data')
    .addHelpText('after', DIFF_EXAMPLES)
    .action((ids: string[], { dir }: { dir: string }) => compare(dir, ids))
  return new Command('replica')
    .description('write every reading in its total order to CSV files, one per sensor, until Ctrl-C')
    .option('--id <id>', 'its name, and the name of its folder')
    .option('--dir <folder>', 'folder in which its own is made', 'data')
    .option('--resume', 'continue from its checkpoint instead of clearing its folder')
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES)
    .addCommand(diff)
    .action((options: ReplicaOptions) => run(env, options))
}

async function run(env: Readonly<Record<string, string>>, { id, dir, resume }: ReplicaOptions): Promise<void> {
  if (id === undefined) throw new InputError('MISSING', 'id', 'give the replica a name, for instance --id r1')
  const args = ['--id', checkedId(id), `--dir=${dir}`, ...(resume === true ? ['--resume'] : [])]
  process.exitCode = await runInForeground('sinks/replica/main.ts', args, env)
}

function compare(dir: string, ids: readonly string[]): void {
  if (new Set(ids.map(checkedId)).size < 2)
    throw new InputError('MISSING', 'id', 'name two replicas or more, for instance: plumbline replica diff r1 r2')
  const { lines, difference } = compareReplicas(dir, ids)
  for (const line of lines) process.stdout.write(`${line}\n`)
  if (difference !== null) throw new CommandError('REPLICAS_DIFFER', difference)
}
