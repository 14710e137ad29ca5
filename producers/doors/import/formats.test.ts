// K9: what loggers and services really write becomes the right readings, by the command line's own options; what is open
// in a file is shown by the preview and settled only by what was said.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { METRIC_NAMES, type Reading } from '../../../platform/codec/reading.ts'
import { parsePlan } from './core/plan.ts'
import { describeFile } from './describe-file.ts'
import { FORMATS } from './formats.test-support.ts'
import { type ImportArguments, importProgram } from './options.ts'
import { preview } from './preview.ts'
import { checkSurvey } from './run.ts'
import { readReadings, type Survey, surveyFile } from './survey.ts'

const NOW = 1_800_000_000_000
const BOUNDS = { earliestMs: 0, futureMs: 300_000 }
const dir = mkdtempSync(join(tmpdir(), 'plumbline-formats-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

function write(name: string, content: string | Buffer): string {
  const file = join(dir, name)
  writeFileSync(file, content)
  return file
}

async function parse(args: readonly string[]): Promise<{ file: string; given: ImportArguments }> {
  let found: { file: string; given: ImportArguments } | null = null
  const program = importProgram((file, given) => {
    found = { file, given }
  })
  await program.exitOverride().parseAsync([...args], { from: 'user' })
  return found!
}

interface Read {
  readonly readings: Reading[]
  readonly survey: Survey
}

async function read(args: readonly string[]): Promise<Read> {
  const { file, given } = await parse(args)
  const { options } = describeFile(file, given.plan, given.mapping, BOUNDS, false)
  const readings: Reading[] = []
  for await (const batch of readReadings(options, 0, NOW, { onError: () => undefined }))
    readings.push(...batch.map(({ reading }) => reading))
  return { readings, survey: await surveyFile(options, NOW) }
}

async function show(args: readonly string[]): Promise<string> {
  const { file, given } = await parse([...args, '--preview'])
  const lines: string[] = []
  const described = describeFile(file, given.plan, given.mapping, BOUNDS, true)
  await preview(described, NOW, given.writeMapping, (line) => lines.push(line))
  return lines.join('\n')
}

const metricsOf = (reading: Reading): Record<string, unknown> =>
  Object.fromEntries(METRIC_NAMES.filter((name) => reading[name] != null).map((name) => [name, reading[name]]))
const shown = (readings: readonly Reading[]): unknown[] =>
  readings.map((reading) => [reading.sensor_id, new Date(reading.ts).toISOString(), metricsOf(reading)])

describe('K9: formats', () => {
  test.each(FORMATS)('$name', async ({ file, content, args, readings: expected }) => {
    const { readings, survey } = await read([write(file, content), ...args])
    expect(shown(readings)).toEqual(expected)
    expect(readings.every(({ epoch, seq }) => epoch === 0 && seq === 0)).toBe(true)
    expect(() => checkSurvey(survey, 0)).not.toThrow()
  })

  test.each(FORMATS)(
    '$name: the preview shows what the import does, and its mapping file does the same',
    async (format) => {
      const file = write(format.file, format.content)
      const mapping = join(dir, `${format.file}.mapping.json`)
      rmSync(mapping, { force: true })
      const text = await show([file, ...format.args, '--write-mapping', mapping])
      expect(text).toContain(`an import would send ${format.readings.length} readings`)
      for (const [sensor, time] of format.readings) expect(text).toContain(sensor.slice(0, 20) && time)
      const { readings } = await read([file, '--mapping', mapping])
      expect(shown(readings)).toEqual(format.readings)
    },
  )

  test.each(FORMATS.filter(({ args }) => args.includes('--preset')))(
    '$name: the preview finds the preset by the first lines',
    async ({ file, content, args }) => {
      const text = await show([write(`detect-${file}`, content)])
      if (file === '10637.csv') expect(text).toContain('the file has no header')
      else expect(text).toContain(`the first line is that of the preset ${args[args.indexOf('--preset') + 1]}`)
    },
  )
})

describe('K9: nothing is guessed without being shown', () => {
  test('a power history that is mapped to °C is seen in the preview, by its name and by its values', async () => {
    const file = write(
      'ha.csv',
      'entity_id,state,last_changed\nsensor.house_power,1234,2025-01-05T10:00:00Z\nsensor.hall_temperature,20,2025-01-05T10:00:00Z\n',
    )
    const text = await show([
      ...[file, '--ts-columns', 'last_changed', '--ts-format', 'iso'],
      ...['--sensor-column', 'entity_id', '--map', 'temperature_c=state'],
    ])
    expect(text).toMatch(/! sensor.house_power becomes temperature_c \(°C\), but its name speaks of power_w \(W\)/)
    expect(text).not.toMatch(/! sensor.hall_temperature/)
    expect(text).toMatch(/house_power +temperature_c \(°C\) +1 +1234 +1234/)
  })

  test.each([
    ['P (kW)', 'power_w=P (kW)', /needs \*1000, and none is given/],
    ['P (kW)', 'power_w=P (kW)*1000', null],
    ['T [°F]', 'temperature_c=T [°F]', /is in °F, and temperature_c is in °C: that needs \*0.555555556-17.7777778/],
    ['Spannung_mV', 'voltage_v=Spannung_mV*0.001', null],
    ['P (kW)', 'voltage_v=P (kW)', /is in kW, and becomes voltage_v, which is in V/],
  ])('the unit in the column %s against %s', async (column, map, warning) => {
    const file = write('units.csv', `ts,${column}\n1700000000000,3\n`)
    const text = await show([file, '--sensor', 's', '--map', map])
    if (warning === null) expect(text).not.toContain('\n! ')
    else expect(text).toMatch(warning)
  })

  test('an import takes nothing that only the preview proposed', async () => {
    const file = write('open.csv', 'Zeit;Leistung (kW)\n31.01.2026 12:00;1,5\n')
    await expect(read([file, '--sensor', 's'])).rejects.toThrow(/has no column ts.*--preview/)
    const text = await show([file, '--sensor', 's'])
    expect(text).toContain('columns are separated by ;')
    expect(text).toContain('numbers have a decimal comma')
    expect(text).toContain('times are written as dd.mm.yyyy HH:MM')
    expect(text).toMatch(/1500/)
    expect(text).toContain('taken as UTC')
  })

  test('day and month that could be either are said to be', async () => {
    const file = write('us.csv', 'date,power_w\n03/04/2026 10:00,1\n05/04/2026 10:00,2\n')
    expect(await show([file, '--sensor', 's'])).toContain('dd/mm/yyyy HH:MM or as mm/dd/yyyy HH:MM')
  })

  test('columns "epoch" and "seq" of a mapped file are its own unless --numbered says otherwise', async () => {
    const file = write('own.csv', 'sensor_id,ts,kw,epoch,seq\na,1700000000000,1,7,3\n')
    const mapped = [file, '--map', 'power_w=kw*1000']
    expect((await read(mapped)).readings[0]).toMatchObject({ epoch: 0, seq: 0 })
    expect(await show(mapped)).toContain('not used: epoch, seq')
    expect((await read([...mapped, '--numbered'])).readings[0]).toMatchObject({ epoch: 7, seq: 3 })
    const ours = write('ours.csv', 'sensor_id,ts,power_w,epoch,seq\na,1700000000000,1,7,3\n')
    expect((await read([ours])).readings[0]).toMatchObject({ epoch: 7, seq: 3 })
    expect(await show([ours])).toContain("the reading's own epoch")
    expect((await read([ours, '--no-numbered'])).readings[0]).toMatchObject({ epoch: 0, seq: 0 })
    const time = write('time.csv', 'sensor_id,epoch,seq,power_w\na,1700000000,3,1\n')
    const { readings } = await read([time, '--ts-columns', 'epoch', '--ts-format', 's'])
    expect(readings[0]).toMatchObject({ ts: 1_700_000_000_000, epoch: 0, seq: 0 })
  })

  test('unknown columns and names are named with what to do', async () => {
    const file = write('co2.csv', 'sensor_id,ts,power_w,co2_ppm\na,1700000000000,1,400\n')
    expect(await show([file])).toMatch(/not used: co2_ppm; map a column by --map.*has to be declared first/)
    const { survey } = await read([
      write('long.csv', 'sensor_id,ts,q,v\na,1700000000000,co2,400\na,1700000000000,p,1\n'),
      ...['--names-column', 'q', '--value-column', 'v', '--name', 'power_w=p'],
    ])
    expect([...survey.unmapped]).toEqual([['co2', 1]])
  })

  test('names in JSON lines that are not used are named, too', async () => {
    const file = write('extra.jsonl', '{"sensor_id":"a","ts":1700000000000,"power_w":1,"co2":400}\n')
    expect(await show([file])).toContain('not used: co2;')
    expect((await read([file])).survey.header).toEqual(['sensor_id', 'ts', 'power_w', 'co2'])
  })

  test('cells beyond the header are refused: a decimal comma would lose its digits', async () => {
    const { survey } = await read([write('comma.csv', 'sensor_id,ts,power_w\na,1700000000000,1,5\n')])
    expect(survey.errors).toMatchObject([{ line: 2, code: 'CELLS' }])
  })

  test('control characters of a file do not reach the terminal by name of a column', async () => {
    const { plainText } = await import('./core/plain-text.ts')
    expect(plainText('a\u001b]0;x\u0007\nb\u202e')).toBe('a\\u001b]0;x\\u0007\\u000ab\\u202e')
  })
})

describe('K9: local times', () => {
  const rows = ['2025-10-26 02:15', '2025-10-26 02:45', '2025-10-26 02:15', '2025-10-26 02:45', '2026-03-29 02:30']
  const file = (): string => write('local.csv', `ts,power_w\n${rows.map((time, i) => `${time},${i}`).join('\n')}\n`)
  const base = (...more: string[]): string[] => [
    ...[file(), '--sensor', 's', '--ts-format', 'iso', '--tz', 'Europe/Berlin'],
    ...more,
  ]

  test('those that occur twice or not at all are named with both readings of them', async () => {
    const { survey } = await read(base())
    expect(survey.errors.map(({ line, code }) => [line, code])).toEqual([2, 3, 4, 5, 6].map((n) => [n, 'LOCAL_TIME']))
    expect(survey.errors[0].message).toMatch(/twice.*2025-10-26T00:15:00.000Z and 2025-10-26T01:15:00.000Z.*--tz-twice/)
    expect(survey.errors[4].message).toMatch(/does not occur.*2026-03-29T00:30:00.000Z or 2026-03-29T01:30:00.000Z/)
  })

  test.each([
    ['earlier', 'later', ['00:15', '00:45', '00:15', '00:45', '01:30']],
    ['later', 'earlier', ['01:15', '01:45', '01:15', '01:45', '00:30']],
    ['order', 'later', ['00:15', '00:45', '01:15', '01:45', '01:30']],
  ])('--tz-twice %s --tz-skipped %s', async (twice, skipped, times) => {
    const { readings } = await read(base('--tz-twice', twice, '--tz-skipped', skipped))
    expect(readings.map(({ ts }) => new Date(ts).toISOString().slice(11, 16))).toEqual(times)
  })

  test.each([
    ['Europe/Berlin', '2025-07-01 12:00', '2025-07-01T10:00'],
    ['Europe/Berlin', '2025-12-01 12:00', '2025-12-01T11:00'],
    ['America/Los_Angeles', '2025-03-09 03:00', '2025-03-09T10:00'],
    ['America/Los_Angeles', '2025-03-09 01:59', '2025-03-09T09:59'],
    ['Australia/Lord_Howe', '2025-10-05 02:30', '2025-10-04T15:30'],
    ['Asia/Kolkata', '2025-01-01 00:00', '2024-12-31T18:30'],
    ['-07:00', '2024-03-10 02:30', '2024-03-10T09:30'],
    ['UTC', '2024-03-10 02:30', '2024-03-10T02:30'],
    ['Europe/Berlin', '2025-07-01T12:00:00+05:00', '2025-07-01T07:00'],
  ])('%s: %s is %s', async (tz, text, utc) => {
    const { readings } = await read([
      write('tz.csv', `ts,power_w\n${text},1\n`),
      ...['--sensor', 's', '--ts-format', 'iso', '--tz', tz],
    ])
    expect(new Date(readings[0].ts).toISOString().slice(0, 16)).toBe(utc)
  })

  test.each([
    [['--tz', 'Europe/Atlantis'], 'TZ'],
    [['--tz', 'Europe/Berlin', '--ts-format', 's'], 'TZ'],
    [['--decimal', ','], 'DECIMAL'],
    [['--where', 'power_w'], 'WHERE'],
    [['--names-column', 'power_w'], 'NAMES'],
    [['--encoding', 'klingon'], 'ENCODING'],
  ])('%j is refused by its name', async (args, code) => {
    await expect(
      read([write('r.csv', 'ts,power_w\n1,1\n'), '--sensor', 's', '--ts-format', 'iso', ...args]),
    ).rejects.toMatchObject({ code })
  })
})

describe('K9: forms of times and files', () => {
  test.each([
    ['mm/dd/yy hh:MM:SS ap', '07/25/14 12:00:00 AM', '2014-07-25T00:00:00.000Z'],
    ['mm/dd/yy hh:MM:SS ap', '07/25/14 12:30:00 p.m.', '2014-07-25T12:30:00.000Z'],
    ['dd-mon-yyyy HH:MM', '05-Mar-2024 7:30', '2024-03-05T07:30:00.000Z'],
    ['dd/mm/yyyy HH:MM:SS.fff', '05/03/2024 07:30:00.25', '2024-03-05T07:30:00.250Z'],
    ['dd/mm/yyyy HH:MM', '31/12/2024 24:00', '2025-01-01T00:00:00.000Z'],
  ])('%s reads %s', async (format, text, utc) => {
    const { readings } = await read([
      write('t.csv', `ts,power_w\n${text},1\n`),
      ...['--sensor', 's', '--ts-format', format],
    ])
    expect(new Date(readings[0].ts).toISOString()).toBe(utc)
  })

  test('a mapping file with a key that is none, or a value of a wrong type, is refused by its name', () => {
    expect(() => parsePlan('{"ts_colums":["a"]}', 'm.json')).toThrow(/m.json: ts_colums is not a key/)
    expect(() => parsePlan('{"header_line":"2"}', 'm.json')).toThrow(/header_line/)
    expect(() => parsePlan('{', 'm.json')).toThrow(/is not JSON/)
  })

  test('options have priority over the mapping file, and it over the preset', async () => {
    const { file, content } = FORMATS.find(({ name }) => name === 'Shelly EM log')!
    const mapping = write('m.json', JSON.stringify({ preset: 'shelly', sensor: 'from-file', tenant: 'acme' }))
    const { readings } = await read([write(file, content), '--mapping', mapping, '--sensor', 'given'])
    expect(readings[0]).toMatchObject({ sensor_id: 'given', tenant_id: 'acme' })
    expect(readFileSync(mapping, 'utf8')).toContain('from-file')
  })

  test.each(['\n', '\r\n'])('errors name the line of the file, whatever is before it (%j)', async (end) => {
    const lines = [
      '# one',
      'title',
      'ts,power_w,note',
      '1700000000000,1,"two',
      'lines"',
      '',
      '# more',
      '1700000001000,x,',
    ]
    const { survey } = await read([
      ...[write('lines.csv', lines.join(end)), '--header-line', '3', '--comment', '#', '--sensor', 's'],
      ...['--ts-columns', 'ts', '--max-errors', '5'],
    ])
    expect(survey.errors.map(({ line, column }) => [line, column])).toEqual([[8, 'power_w']])
  })

  test('a header on another line, units after it, rows by a condition, several texts for missing', async () => {
    const file = write(
      'deep.csv',
      'Report\n"made, by hand"\nts;power_w;ok\nms;W;-\n1700000000000;5;yes\n1700000001000;6;no\n1700000002000;n/a;yes\n1700000003000;--;yes\n',
    )
    const { readings, survey } = await read([
      ...[file, '--header-line', '3', '--units-row', '--delimiter', 'semicolon', '--sensor', 's'],
      ...['--where', 'ok=yes', '--missing', 'n/a', '--missing', '--'],
    ])
    expect(readings.map(({ power_w }) => power_w)).toEqual([5])
    expect(survey).toMatchObject({ filtered: 1, rejected: 2, empty: 2 })
    expect(survey.errors[0].line).toBe(7)
  })
})
