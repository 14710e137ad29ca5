// The command line of Plumbline: one file per command. Errors that an operator can do something about are one line
// on standard error that says what to do (core/ending.ts); anything else is a bug and shows its stack.
import { readFileSync } from 'node:fs'
import { Command } from 'commander'
import { PRIVATE_UMASK } from '../platform/lifecycle.ts'
import { auditCommand } from './audit/command.ts'
import { benchCommand } from './bench/command.ts'
import { cleanCommand } from './clean/command.ts'
import { clusterCommand } from './cluster/command.ts'
import { configCommand } from './config/command.ts'
import { escapeControls } from './core/decode.ts'
import { endingText } from './core/ending.ts'
import { demoCommand } from './demo/command.ts'
import { dlqCommand } from './dlq/command.ts'
import { doctorCommand } from './doctor/command.ts'
import { completeEnvironment } from './environment.ts'
import { exportCommand } from './export/command.ts'
import { importCommand } from './import/command.ts'
import { orderCommand } from './order/command.ts'
import { partitionsCommand } from './partitions/command.ts'
import { produceCommand } from './produce/command.ts'
import { replicaCommand } from './replica/command.ts'
import { settingsCommand } from './settings/command.ts'
import { statusCommand } from './status/command.ts'
import { topicsCommand } from './topics/command.ts'
import { traceCommand } from './trace/command.ts'
import { upCommand } from './up/command.ts'

const HELP_END = `
Start with:
  plumbline up                 everything on this machine, with a live panel
  plumbline demo               the same for a minute, with real data and an audit at the end
  plumbline <command> --help   options and examples of a command

Exit codes: 0 done; 1 failed, or what was checked is not in order; 130 interrupted. Processes also end with 78 when their
configuration is wrong: starting them again does not help.`

process.umask(PRIVATE_UMASK)

const env = completeEnvironment(process.env)

const program = new Command('plumbline')
  .description('Sensor telemetry on Kafka in which every record is accounted for.')
  .helpCommand(false)
  .version(versionOf(), '-V, --version', 'print the version')
  // An option belongs to the command it follows, even where the command above has one of the same name.
  .enablePositionalOptions()
  .showHelpAfterError('("plumbline --help" lists the commands, "plumbline <command> --help" their options)')
  .addHelpText('after', HELP_END)

const commands = [
  upCommand(env),
  demoCommand(env),
  statusCommand(env),
  doctorCommand(env, packageVersion()),
  clusterCommand(env),
  topicsCommand(env),
  partitionsCommand(env),
  orderCommand(env),
  traceCommand(env),
  replicaCommand(env),
  produceCommand(env),
  importCommand(env),
  exportCommand(env),
  auditCommand(env),
  dlqCommand(env),
  configCommand(env),
  benchCommand(),
  settingsCommand(),
  cleanCommand(env),
]
for (const command of commands) program.addCommand(command)

// A reader that has seen enough, as `head` has, is no failure. A command that stops cleanly on a signal does so here, too.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') return fail(error)
  if (process.listenerCount('SIGTERM') > 0) process.kill(process.pid, 'SIGTERM')
  else process.exit()
})

try {
  await program.parseAsync()
  // Output that a pipe has not taken yet would be lost.
  await new Promise<void>((written) => process.stdout.write('', () => written()))
  process.exit()
} catch (error) {
  fail(error)
}

function fail(error: unknown): never {
  // Messages may contain untrusted text: topics, sensors, answers.
  process.stderr.write(escapeControls(`plumbline: ${endingText(error)}\n`))
  process.exit(1)
}

function versionOf(): string {
  return `plumbline ${packageVersion()} (Node ${process.versions.node})`
}

function packageVersion(): string {
  const file = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(file) as { version: string }).version
}
