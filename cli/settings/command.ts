// `plumbline settings`: every setting as the table of docs/reference.md, and its upkeep there, so that the two cannot differ.
import { readFileSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { settingsTable } from '../../platform/config.ts'
import { replaceBetween } from './core/readme.ts'

export function settingsCommand(): Command {
  return new Command('settings')
    .description('print every setting (environment variable) with its default and meaning')
    .option('--write <file>', 'write the table between <!-- settings --> and <!-- /settings --> of this file instead')
    .addHelpText(
      'after',
      '\nExamples:\n  plumbline settings\n  plumbline settings --write docs/reference.md     what "make docs" does',
    )
    .action(({ write }: { write?: string }) => {
      if (write === undefined) process.stdout.write(`${settingsTable()}\n`)
      else writeFileSync(write, replaceBetween(readFileSync(write, 'utf8'), 'settings', settingsTable()))
    })
}
