// The command line of Plumbline: one file per command. Errors that an operator can do something about are one line
// on standard error that says what to do; anything else is a mistake of ours and shows its stack. Exit code 1 then.
import { Command } from 'commander'
import { PlumblineError } from '../platform/errors.ts'
import { auditCommand } from './audit/command.ts'
import { benchCommand } from './bench/command.ts'
import { cleanCommand } from './clean/command.ts'
import { clusterCommand } from './cluster/command.ts'
import { configCommand } from './config/command.ts'
import { escapeControls } from './core/decode.ts'
import { demoCommand } from './demo/command.ts'
import { dlqCommand } from './dlq/command.ts'
import { completeEnvironment } from './environment.ts'
import { exportCommand } from './export/command.ts'
import { importCommand } from './import/command.ts'
import { orderCommand } from './order/command.ts'
import { produceCommand } from './produce/command.ts'
import { replicaCommand } from './replica/command.ts'
import { settingsCommand } from './settings/command.ts'
import { statusCommand } from './status/command.ts'
import { topicsCommand } from './topics/command.ts'
import { upCommand } from './up/command.ts'

const EXAMPLES = `
Begin with:
  plumbline up                 everything on this machine, with a live panel
  plumbline demo               the same for a minute, with real data and an audit at the end
  plumbline <command> --help   options and examples of a command`

const env = completeEnvironment(process.env)

const program = new Command('plumbline')
  .description('Sensor telemetry on Kafka in which every record is accounted for.')
  .helpCommand(false)
  // An option belongs to the command that it stands behind, also where the one above has one of that name.
  .enablePositionalOptions()
  .showHelpAfterError('("plumbline --help" lists the commands, "plumbline <command> --help" their options)')
  .addHelpText('after', EXAMPLES)

const commands = [
  upCommand(env),
  demoCommand(env),
  statusCommand(env),
  clusterCommand(env),
  topicsCommand(env),
  orderCommand(env),
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

try {
  await program.parseAsync()
  // What a pipe has not taken yet would be cut off.
  await new Promise<void>((written) => process.stdout.write('', () => written()))
  process.exit()
} catch (error) {
  const text =
    error instanceof PlumblineError
      ? error.message
      : error instanceof Error
        ? (error.stack ?? error.message)
        : String(error)
  // Messages may name what came from elsewhere: topics, sensors, answers.
  process.stderr.write(escapeControls(`plumbline: ${text}\n`))
  process.exit(1)
}
