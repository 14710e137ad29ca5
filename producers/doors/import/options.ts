// The options of `plumbline import`. Those that decide what is made of a file have the names of a mapping file's keys; the
// rest say how it is sent.
import { Command, InvalidArgumentError, Option } from 'commander'
import type { PlanInput } from './core/plan.ts'
import { PRESETS } from './core/presets.ts'

/** As the command line has them. */
export interface ImportArguments {
  readonly plan: PlanInput
  /** Path of a mapping file. */
  readonly mapping?: string
  readonly preview: boolean
  /** Path that the preview writes a mapping file to. */
  readonly writeMapping?: string
  /** Times before it are refused, ms; REFINE_EARLIEST if not given. */
  readonly earliest?: number
  readonly start?: 'now'
  readonly rate?: number
  readonly maxErrors: number
}

const positive = (text: string): number => {
  const value = Number(text)
  if (!(value > 0)) throw new InvalidArgumentError('a number above 0 is needed')
  return value
}
const whole =
  (min: number) =>
  (text: string): number => {
    const value = Number(text)
    if (text.trim() === '' || !Number.isInteger(value) || value < min)
      throw new InvalidArgumentError(`a whole number from ${min} is needed`)
    return value
  }
const day = (text: string): number => {
  const ms = /^\d{4}-\d{2}-\d{2}$/.test(text) ? Date.parse(text) : NaN
  if (Number.isNaN(ms)) throw new InvalidArgumentError('a day such as 1990-01-31 is needed')
  return ms
}
const list = (text: string): string[] => text.split(',').map((name) => name.trim())
const collect = (text: string, former: string[] | undefined): string[] => [...(former ?? []), text]
const presets = Object.entries(PRESETS)
  .map(([name, { about }]) => `  ${name.padEnd(16)} ${about}`)
  .join('\n')

interface Flags extends Omit<PlanInput, 'unitsRows' | 'names'> {
  readonly unitsRow?: number | true
  readonly name?: string[]
  readonly mapping?: string
  readonly preview?: boolean
  readonly writeMapping?: string
  readonly earliest?: number
  readonly start?: 'now'
  readonly rate?: number
  readonly maxErrors: number
}

export function importProgram(run: (file: string, given: ImportArguments) => void): Command {
  return new Command('import')
    .argument('<file>')
    .description('bring a CSV or JSON-lines file in; run again after a crash, it continues where it stopped')
    .option('--preview', 'show what would be made of the file, with proposals for what is not said; sends nothing')
    .option('--write-mapping <file>', 'with --preview: write the mapping that it shows to a new file')
    .option('--mapping <file>', 'a mapping file; options given here have priority')
    .addOption(new Option('--preset <name>', 'mapping of a well-known file, see below').choices(Object.keys(PRESETS)))
    .addOption(new Option('--format <format>', 'by the file’s name if not given').choices(['csv', 'jsonl']))
    .option('--encoding <name>', 'of the text: utf-8, utf-16le, latin1, windows-1252… (default: utf-8)')
    .option('--delimiter <text>', 'between the columns: a text, tab, semicolon, space or pipe (default: ,)')
    .addOption(new Option('--decimal <mark>', 'in numbers (default: .)').choices(['.', ',']))
    .option('--header-line <n>', 'the line of the header; lines before it are left out (default: 1)', whole(1))
    .option(
      '--columns <names>',
      'names of the columns, comma separated; without --header-line there is no header',
      list,
    )
    .option(
      '--units-row [rows]',
      'rows after the header that are not data, the first with units (default: 1)',
      whole(1),
    )
    .option('--comment <text>', 'lines that begin with it are left out')
    .option('--ts-columns <names>', 'columns of the time, comma separated (default: ts)', list)
    .option(
      '--ts-format <format>',
      'iso, s, ms, us, ns or a pattern of yyyy yy mm mon dd HH hh ap MM SS fff, such as "dd/mm/yyyy HH:MM:SS" (default: ms)',
    )
    .option('--tz <zone>', 'of times without a zone: Europe/Berlin, +01:00 (default: UTC)')
    .addOption(
      new Option(
        '--tz-twice <choice>',
        'local times that occur twice; order: the earlier one unless the sensor is past it (default: refuse)',
      ).choices(['refuse', 'earlier', 'later', 'order']),
    )
    .addOption(
      new Option('--tz-skipped <choice>', 'local times that do not occur (default: refuse)').choices([
        'refuse',
        'earlier',
        'later',
      ]),
    )
    .option('--earliest <day>', 'refuse times before this day, such as 1990-01-01 (default: REFINE_EARLIEST)', day)
    .option(
      '--map <metric=column*factor+offset>',
      'which column is which metric, and how its unit is converted; metric@part=column for several sensors; several times',
      collect,
    )
    .option('--sensor <id>', 'the sensor of all rows')
    .option('--sensor-column <name>', 'column that names the sensor')
    .option('--tenant <id>', 'the tenant of all rows')
    .option('--site <id>', 'the site of all rows')
    .option('--names-column <name>', 'long form: column that names what is in the column of values')
    .option('--value-column <name>', 'long form: column of the values')
    .option(
      '--name <metric=name*factor>',
      'long form: which name is which metric; * in it is any text; several times',
      collect,
    )
    .option('--missing <text>', 'text that means a missing value, besides an empty cell; several times', collect)
    .option(
      '--where <condition>',
      'only rows such as state!=unavailable|unknown; several times, all must hold',
      collect,
    )
    .option('--numbered', 'columns epoch and seq are the readings’ own numbers (default: where no mapping is given)')
    .option('--no-numbered', 'columns epoch and seq are the file’s own')
    .addOption(new Option('--start <when>', 'now: shift all times so that the last row is now').choices(['now']))
    .option('--rate <readings per second>', 'as fast as possible if not given', positive)
    .option('--max-errors <count>', 'import nothing when more rows than this are rejected', whole(0), 100)
    .addHelpText('after', `\nPresets:\n${presets}`)
    .action((file: string, flags: Flags) => run(file, argumentsOf(flags)))
}

function argumentsOf(flags: Flags): ImportArguments {
  const { unitsRow, name, mapping, preview = false, writeMapping, earliest, start, rate, maxErrors, ...plan } = flags
  return {
    plan: { ...plan, unitsRows: unitsRow === true ? 1 : unitsRow, names: name },
    ...{ mapping, preview, writeMapping, earliest, start, rate, maxErrors },
  }
}
