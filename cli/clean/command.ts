// `plumbline clean`: removes what runs left behind, and nothing else: Kafka's jars stay, since they are downloaded, not
// generated. It refuses while an instance is running on the data.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { Command } from 'commander'
import { claimInstance } from '../../deploy/stack/instance.ts'
import { CommandError } from '../core/errors.ts'

/** In DATA_DIR; the other names there are not data. */
const KEPT = new Set(['kafka', 'up.lock'])
/** A folder without one of these is not ours, and nothing in it is removed. */
const OURS = ['up.lock', 'kafka-data']

export function cleanCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('clean')
    .description('remove all kept data: topics, store, write-ahead logs, logs')
    .addHelpText('after', '\nExamples:\n  plumbline clean\n  DATA_DIR=/tmp/trial plumbline clean')
    .action(() => clean(env.DATA_DIR))
}

function clean(dataDir: string): void {
  if (!OURS.some((name) => existsSync(join(dataDir, name)))) {
    process.stdout.write(`${dataDir} holds no data of Plumbline\n`)
    return
  }
  const claim = claimInstance(dataDir)
  try {
    const names = readdirSync(dataDir).filter((name) => !KEPT.has(name))
    for (const name of names) rmSync(join(dataDir, name), { recursive: true, force: true })
    process.stdout.write(`removed from ${dataDir}: ${names.join(', ') || 'nothing'}\n`)
  } catch (cause) {
    throw new CommandError('CLEAN', `${dataDir} cannot be cleaned: ${String(cause)}`, { cause })
  } finally {
    claim.release()
  }
}
