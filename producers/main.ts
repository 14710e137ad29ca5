// The producers' process: `main.ts` runs the simulated fleet and POST /readings, `main.ts import FILE` brings a file in.
import { Command, InvalidArgumentError, Option } from 'commander'
import { loadConfig } from '../platform/config.ts'
import { InputError, messageOf } from '../platform/errors.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { runMain } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { registerSchemas } from '../platform/codec/register.ts'
import { runService } from '../platform/service.ts'
import { WalError } from '../platform/wal/format.ts'
import { RAW } from '../schemas/topics.ts'
import { type ImportArguments, importFile } from './doors/import/command.ts'
import { PRESETS } from './doors/import/presets.ts'
import { startProducers } from './service.ts'

const positive = (text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is needed')
  return value
}
const count = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0) throw new InvalidArgumentError('a whole number from 0 is needed')
  return value
}
const day = (text: string): number => {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('a day such as 1990-01-31 is needed')
  return ms
}
const list = (text: string): string[] => text.split(',')
const collect = (text: string, former: string[] | undefined): string[] => [...(former ?? []), text]

// Its help is read as that of `plumbline import`, which runs it.
const program = new Command('plumbline')
program.action(() =>
  runService('producers', process.env, async (service) => {
    const { REGISTRY_URL, API_TOKEN } = service.config
    return startProducers(service, await registerSchemas(REGISTRY_URL, API_TOKEN))
  }),
)
program
  .command('import <file>')
  .description('bring a CSV or JSON-lines file in; run again after a crash, it continues where it stopped')
  .addOption(new Option('--preset <name>', 'mapping of a well-known file').choices(Object.keys(PRESETS)))
  .addOption(new Option('--format <format>', 'by the file’s name if not given').choices(['csv', 'jsonl']))
  .option('--delimiter <text>', 'between the columns of a CSV (default: ,)')
  .option(
    '--map <metric=column*factor>',
    'which column is which metric, and the factor to its unit; several times',
    collect,
  )
  .option('--ts-columns <names>', 'columns of the time, comma separated (default: ts)', list)
  .option('--ts-format <format>', 'iso, s, ms, us, ns or a pattern such as "dd/mm/yyyy HH:MM:SS" (default: ms)')
  .option('--earliest <day>', 'refuse times before this day, such as 1990-01-01 (default: INGEST_EARLIEST)', day)
  .option('--encoding <name>', 'of the text: utf-8, utf-16le, latin1, windows-1252…', 'utf-8')
  .option('--sensor <id>', 'the sensor of all rows')
  .option('--sensor-column <name>', 'column that names the sensor')
  .option('--tenant <id>', 'the tenant of all rows')
  .option('--site <id>', 'the site of all rows')
  .option('--missing <text>', 'text that means a missing value, besides an empty cell')
  .addOption(new Option('--start <when>', 'now: shift all times so that the last row is now').choices(['now']))
  .option('--rate <readings per second>', 'as fast as possible if not given', positive)
  .option('--max-errors <count>', 'import nothing when more rows than this are rejected', count, 100)
  .action((file: string, given: ImportArguments) => runMain((signal) => importOnce(file, given, signal)))
program.parse()

async function importOnce(file: string, given: ImportArguments, signal: AbortSignal): Promise<void> {
  const config = loadConfig(process.env)
  const log = createLog('producers', config.LOG_LEVEL)
  const kafka = connectKafka(config, log)
  const schemaId = (await registerSchemas(config.REGISTRY_URL, config.API_TOKEN)).get(RAW)
  if (schemaId === undefined) throw new Error(`the registry gave no id for the schema of ${RAW}`)
  const print = (line: string): void => void process.stdout.write(`${line}\n`)
  const progress = (text: string, done: boolean): void => {
    process.stderr.write(process.stderr.isTTY ? `\r${text}\u001b[K${done ? '\n' : ''}` : `${text}\n`)
  }
  try {
    const complete = await importFile(file, given, { config, log, kafka, schemaId, signal, print, progress })
    if (!complete) process.exitCode = 1
  } catch (error) {
    // The operator's to mend: a message, not a stack.
    const isSystems = typeof (error as NodeJS.ErrnoException).syscall === 'string'
    if (!isSystems && !(error instanceof InputError || error instanceof WalError)) throw error
    process.stderr.write(`${messageOf(error)}\n`)
    process.exitCode = 1
  }
}
