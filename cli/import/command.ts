// `plumbline import`: the producers' own import in a process of its own, with this terminal. Its options are described
// there, so they are passed on as they are.
import { Command } from 'commander'
import { runInForeground } from '../foreground.ts'

const EXAMPLES = `
Examples:
  plumbline import data.csv --preview                     what would be made of it, and a proposal for what is not said
  plumbline import data.csv --preview --write-mapping m.json
  plumbline import data.csv --mapping m.json
  plumbline import data.csv --sensor-column meter --ts-columns time --ts-format iso --map power_w=kW*1000 --tz Europe/Berlin
  plumbline import history.csv --preset home-assistant
  plumbline import readings.jsonl
  plumbline import household_power_consumption.txt --preset household-power --start now`

export function importCommand(env: Readonly<Record<string, string>>): Command {
  return new Command('import')
    .description('bring a CSV or JSON-lines file in; run again after a crash, it continues where it stopped')
    .argument('[arguments...]', 'FILE and options; "plumbline import --help" lists them')
    .helpOption(false)
    .allowUnknownOption()
    .action(async (args: string[]) => {
      const wantsHelp = args.length === 0 || args.includes('--help') || args.includes('-h')
      process.exitCode = await runInForeground('producers/main.ts', ['import', ...(wantsHelp ? ['--help'] : args)], env)
      if (wantsHelp) process.stdout.write(`${EXAMPLES}\n`)
    })
}
