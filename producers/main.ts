// The producers' process: `main.ts` runs POST /readings and, by its options, simulated nodes; `main.ts import FILE` brings
// a file in.
import { Command } from 'commander'
import { loadConfig } from '../platform/config.ts'
import { InputError, messageOf } from '../platform/errors.ts'
import { connectKafka } from '../platform/kafka/kafkajs/client.ts'
import { runMain } from '../platform/lifecycle.ts'
import { createLog } from '../platform/log.ts'
import { registerSchemas } from '../platform/codec/register.ts'
import { runService } from '../platform/service.ts'
import { WalError } from '../platform/wal/format.ts'
import { RAW } from '../schemas/topics.ts'
import { importFile, previewFile } from './doors/import/command.ts'
import { plainText } from './doors/import/core/plain-text.ts'
import { type ImportArguments, importProgram } from './doors/import/options.ts'
import { commanderOptions, FAULT_OPTIONS, FLEET_OPTIONS, fleetOf } from './nodes/options.ts'
import { startProducers } from './service.ts'

// Its help is read as that of `plumbline import`, which runs it.
const program = new Command('plumbline').enablePositionalOptions()
for (const option of [...commanderOptions(FLEET_OPTIONS), ...commanderOptions(FAULT_OPTIONS)]) program.addOption(option)
program.action((flags: Readonly<Record<string, unknown>>) =>
  runService('producers', process.env, async (service) => {
    const { REGISTRY_URL, API_TOKEN } = service.config
    return startProducers(service, fleetOf(flags), await registerSchemas(REGISTRY_URL, API_TOKEN))
  }),
)
program.addCommand(importProgram((file, given) => runMain((signal) => importOnce(file, given, signal))))
program.parse()

async function importOnce(file: string, given: ImportArguments, signal: AbortSignal): Promise<void> {
  const config = loadConfig(process.env)
  const log = createLog('producers', config.LOG_LEVEL)
  const print = (line: string): void => void process.stdout.write(`${plainText(line)}\n`)
  if (given.preview) {
    await previewFile(file, given, config, print).catch(refuse)
    return
  }
  const kafka = connectKafka(config, log)
  const schemaId = (await registerSchemas(config.REGISTRY_URL, config.API_TOKEN)).get(RAW)
  if (schemaId === undefined) throw new Error(`the registry gave no id for the schema of ${RAW}`)
  const progress = (text: string, done: boolean): void => {
    process.stderr.write(process.stderr.isTTY ? `\r${text}\u001b[K${done ? '\n' : ''}` : `${text}\n`)
  }
  await importFile(file, given, { config, log, kafka, schemaId, signal, print, progress }).then((complete) => {
    if (!complete) process.exitCode = 1
  }, refuse)
}

/** What the operator can put right is one line, not a stack. */
function refuse(error: unknown): void {
  const isSystems = typeof (error as NodeJS.ErrnoException).syscall === 'string'
  if (!isSystems && !(error instanceof InputError || error instanceof WalError)) throw error
  process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 1
}
