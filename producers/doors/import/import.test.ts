import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../platform/clock.ts'
import { type Reading, readingType } from '../../../platform/codec/reading.ts'
import { Outbox } from '../../outbox.ts'
import { openWal, SCHEMA_ID, tempDir } from '../../../platform/wal/wal.test-support.ts'
import { Mapping, type MappingOptions } from './core/mapping.ts'
import { completePlan } from './core/plan.ts'
import { PRESETS } from './core/presets.ts'
import { findRun, markComplete } from './progress-file.ts'
import { checkSurvey, importReadings } from './run.ts'
import { digestOf, type FileOptions, type LineError, readReadings, surveyFile } from './survey.ts'
import { timeParser } from './core/times.ts'

const BOUNDS = { earliestMs: 0, futureMs: 300_000 }
const NOW = 1_800_000_000_000
const SAMPLE = fileURLToPath(new URL('./sample/household_power.txt', import.meta.url))
const plain: MappingOptions = { map: [], tsColumns: ['ts'], tsFormat: 'ms', missing: [], tags: {} }

function fileOf(name: string, text: string, mapping: Partial<MappingOptions> = {}, delimiter = ','): FileOptions {
  const file = join(tempDir(), name)
  writeFileSync(file, text)
  return {
    file,
    format: name.endsWith('.csv') ? 'csv' : 'jsonl',
    delimiter,
    mapping: new Mapping({ ...plain, ...mapping }),
    encoding: 'utf-8',
    bounds: BOUNDS,
  }
}

async function readAll(options: FileOptions): Promise<{ readings: Reading[]; errors: LineError[] }> {
  const readings: Reading[] = []
  const errors: LineError[] = []
  const listener = { onError: (error: LineError) => errors.push(error) }
  for await (const batch of readReadings(options, 0, NOW, listener))
    readings.push(...batch.map(({ reading }) => reading))
  return { readings, errors }
}

describe('times', () => {
  test.each([
    ['iso', '2026-01-31T12:00:00Z', Date.UTC(2026, 0, 31, 12)],
    ['iso', '2026-01-31T12:00:00+02:00', Date.UTC(2026, 0, 31, 10)],
    ['iso', '2016-07-01 01:00:00', Date.UTC(2016, 6, 1, 1)],
    ['iso', '2026-01-31', Date.UTC(2026, 0, 31)],
    ['ms', '1700000000123', 1_700_000_000_123],
    ['s', '1700000000.5', 1_700_000_000_500],
    ['dd/mm/yyyy HH:MM:SS', '16/12/2006 17:24:00', Date.UTC(2006, 11, 16, 17, 24)],
  ])('%s: %s', (format, text, ms) => expect(timeParser(format)(text)).toBe(ms))

  test.each([
    ['iso', '2026-02-30T00:00:00Z'],
    ['iso', 'yesterday'],
    ['ms', '-5'],
    ['s', '0x10'],
    ['ms', '1_000'],
    ['dd/mm/yyyy HH:MM:SS', '31/02/2006 17:24:00'],
    ['dd/mm/yyyy HH:MM:SS', '16/12/2006 25:00:00'],
    ['dd/mm/yyyy HH:MM:SS', '2006-12-16 17:24:00'],
  ])('%s refuses %s', (format, text) =>
    expect(() => timeParser(format)(text)).toThrow(expect.objectContaining({ field: 'ts' })),
  )

  test('a pattern without a date is refused', () => expect(() => timeParser('HH:MM')).toThrow(/yyyy/))
})

describe('CSV (X-1)', () => {
  test('columns that are named as fields need no mapping', async () => {
    const { readings, errors } = await readAll(
      fileOf('a.csv', 'sensor_id,ts,power_w,voltage_v\ns1,1000,5,\ns2,2000,,230\n'),
    )
    expect(errors).toEqual([])
    expect(readings.map(({ sensor_id, ts, power_w, voltage_v }) => [sensor_id, ts, power_w, voltage_v])).toEqual([
      ['s1', 1000, 5, undefined],
      ['s2', 2000, undefined, 230],
    ])
  })

  test('what is wrong is named by line, column and limit, and the rest goes in', async () => {
    const text = 'sensor_id,ts,humidity_pct\ns,1000,50\ns,x,50\ns,3000,101\ns,4000,abc\n,5000,50\ns,6000,\ns,7000,51\n'
    const { readings, errors } = await readAll(fileOf('a.csv', text))
    expect(readings.map(({ ts }) => ts)).toEqual([1000, 7000])
    expect(errors.map(({ line, column, code }) => [line, column, code])).toEqual([
      [3, 'ts', 'TIME'],
      [4, 'humidity_pct', 'OUT_OF_RANGE'],
      [5, 'humidity_pct', 'NOT_A_NUMBER'],
      [6, 'sensor_id', 'WRONG_TYPE'],
      [7, 'metrics', 'NO_METRIC'],
    ])
    expect(errors[1].message).toContain('100')
  })

  test('a column that the mapping needs and the file lacks is named with those it has', async () => {
    await expect(
      readAll(fileOf('a.csv', 'when,kw\n1,2\n', { map: ['power_w=kW*1000'], tsColumns: ['when'], sensor: 's' })),
    ).rejects.toThrow(/kW.*when, kw/)
  })

  test.each([
    [{ map: ['watts=P'] }, /watts is not a metric/],
    [{ map: ['power_w'] }, /metric=column/],
    [{ tsFormat: 'whenever' }, /whenever/],
  ])('a mapping that cannot be meant is refused: %j', (options, message) =>
    expect(() => new Mapping({ ...plain, ...options })).toThrow(message),
  )

  test('the household preset reads the UCI file: kW become W, ? is missing', async () => {
    const plan = completePlan(PRESETS['household-power'].variants[0].plan, 'csv')
    const { delimiter } = plan
    const mapping: MappingOptions = plan
    const options = {
      file: SAMPLE,
      format: 'csv' as const,
      delimiter,
      mapping: new Mapping(mapping),
      encoding: 'utf-8',
      bounds: BOUNDS,
    }
    const { readings, errors } = await readAll(options)
    expect(errors).toEqual([])
    expect(readings).toHaveLength(300)
    expect(readings[0]).toMatchObject({
      tenant_id: 'uci',
      sensor_id: 'household-1',
      ts: Date.UTC(2006, 11, 16, 17, 24),
      power_w: 4216,
      voltage_v: 234.84,
      current_a: 18.4,
    })
    const [header, row] = readFileSync(SAMPLE, 'utf8').split('\n')
    const holed = fileOf(
      'b.csv',
      `${header}\n${row}\n16/12/2006;17:25:00;?;?;?;?;?;?;\n16/12/2006;17:26:00;?;?;230.0;?;?;?;\n`,
      mapping,
      delimiter,
    )
    const found = await readAll(holed)
    expect(found.readings.map(({ power_w, voltage_v }) => [power_w, voltage_v])).toEqual([
      [4216, 234.84],
      [undefined, 230],
    ])
    expect(found.errors).toMatchObject([{ line: 3, code: 'NO_METRIC' }])
  })
})

describe('JSON lines (X-1)', () => {
  test('readings as POST /readings takes them, errors by line', async () => {
    const text = [
      '{"sensor_id":"s","ts":1,"power_w":2,"tags":{"a":"b"}}',
      '',
      'nope',
      '[1]',
      '{"sensor_id":"s","ts":2}',
      '{"sensor_id":"s","ts":3,"power_w":"4"}',
    ].join('\n')
    const { readings, errors } = await readAll(fileOf('a.jsonl', text))
    expect(readings.map(({ ts, power_w, tags }) => [ts, power_w, tags])).toEqual([
      [1, 2, { a: 'b' }],
      [3, 4, {}],
    ])
    expect(errors.map(({ line, code }) => [line, code])).toEqual([
      [3, 'NOT_JSON'],
      [4, 'NOT_AN_OBJECT'],
      [5, 'NO_METRIC'],
    ])
  })
})

describe('an import', () => {
  test('that was interrupted continues where its log ends and doubles nothing', async () => {
    const options = {
      ...fileOf(
        'a.csv',
        `sensor_id,ts,power_w\n${Array.from({ length: 100 }, (_, i) => `s${i % 2},${i + 1},${i % 10 === 0 ? 'bad' : i}`).join('\n')}\n`,
      ),
    }
    const dir = tempDir()
    const run = async (signal: AbortSignal): Promise<number> => {
      const wal = openWal(dir)
      const outbox = new Outbox({ wal, ringCapacity: 1_000 })
      await importReadings(
        {
          ...options,
          outbox,
          type: readingType,
          schemaId: SCHEMA_ID,
          shiftMs: 0,
          begunAtMs: NOW,
          ratePerS: 500,
          clock: systemClock,
          onProgress: () => undefined,
        },
        signal,
      )
      await wal.close()
      return wal.appended
    }
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 100)
    const first = await run(controller.signal)
    expect(first).toBeLessThan(90)
    expect(await run(new AbortController().signal)).toBe(90)
    expect(await run(new AbortController().signal)).toBe(90)
  })

  test('of a file with too many errors takes nothing in, and says which line is the first', async () => {
    const survey = await surveyFile(fileOf('a.csv', 'sensor_id,ts,power_w\ns,1,x\ns,2,y\ns,3,1\n'), NOW)
    expect(survey).toMatchObject({ readings: 1, rejected: 2, tsMin: 3, tsMax: 3 })
    expect(() => checkSurvey(survey, 1)).toThrow(/limit is 1.*line 2/)
    expect(() => checkSurvey(survey, 2)).not.toThrow()
  })

  test('belongs to the file’s content and mapping; complete, it is repeated only when its times are shifted', async () => {
    const dataDir = tempDir()
    const copy = join(dataDir, 'other-name.txt')
    copyFileSync(SAMPLE, copy)
    const digest = await digestOf(SAMPLE, { a: 1 })
    expect(await digestOf(copy, { a: 1 })).toBe(digest)
    expect(await digestOf(SAMPLE, { a: 2 })).not.toBe(digest)
    const first = findRun(dataDir, digest, true, 77, NOW)
    expect(findRun(dataDir, digest, true, 99, NOW + 5)).toEqual(first)
    markComplete(first)
    expect(findRun(dataDir, digest, false, 0, NOW)).toEqual({ ...first, complete: true })
    expect(findRun(dataDir, digest, true, 99, NOW + 5)).toMatchObject({
      shiftMs: 99,
      begunAtMs: NOW + 5,
      complete: false,
    })
  })
})
