// `plumbline settings`: every setting, and the options of the simulated fleet, as the tables of docs/reference.md, and
// their upkeep there, so that the two cannot differ.
import { readFileSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { settingsTable } from '../../platform/config.ts'
import { fleetTables } from '../../producers/nodes/options.ts'
import { replaceBetween } from './core/readme.ts'

export function settingsCommand(): Command {
  return new Command('settings')
    .description('print every setting (environment variable) with its default and meaning')
    .option(
      '--write <file>',
      'write the tables between their marks in this file instead, such as <!-- settings --> and <!-- /settings -->',
    )
    .addHelpText(
      'after',
      '\nExamples:\n  plumbline settings\n  plumbline settings --write docs/reference.md     what "make docs" does',
    )
    .action(({ write }: { write?: string }) => {
      if (write === undefined) process.stdout.write(`${settingsTable()}\n`)
      else {
        const text = replaceBetween(readFileSync(write, 'utf8'), 'settings', settingsTable())
        writeFileSync(write, replaceBetween(text, 'fleet', fleetTables()))
      }
    })
}
