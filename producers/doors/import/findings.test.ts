import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Reading } from '../../../platform/codec/reading.ts'
import { tempDir } from '../../../platform/wal/wal.test-support.ts'
import { Mapping, type MappingOptions } from './core/mapping.ts'
import { checkEncoding } from './rows.ts'
import { type FileOptions, type LineError, readReadings } from './survey.ts'
import { timeParser } from './core/times.ts'

const NOW = 1_800_000_000_000
const PLAIN: MappingOptions = { map: [], tsColumns: ['ts'], tsFormat: 'ms', missing: [], tags: {} }

function fileOf(
  name: string,
  content: string | Buffer,
  options: Partial<MappingOptions & FileOptions> = {},
): FileOptions {
  const file = join(tempDir(), name)
  writeFileSync(file, content)
  return {
    file,
    format: name.endsWith('.csv') ? 'csv' : 'jsonl',
    delimiter: ',',
    encoding: 'utf-8',
    mapping: new Mapping({ ...PLAIN, ...options }),
    bounds: { earliestMs: 0, futureMs: 300_000 },
    ...options,
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

const latin = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('K4: two identities never become one', () => {
  test.each([
    ['a.csv', latin('sensor_id,ts,power_w\nK\xfchl,1,1\nKuehl,2,1\nK\xf6hl,3,1\n'), [2, 4]],
    [
      'a.jsonl',
      latin(
        '{"sensor_id":"K\xfchl","ts":1,"power_w":1}\n{"sensor_id":"ok","ts":2,"power_w":1}\n{"sensor_id":"K\xf6hl","ts":3,"power_w":1}',
      ),
      [1, 3],
    ],
  ])('%s: bytes that are not UTF-8 are refused by line and field', async (name, content, lines) => {
    const { readings, errors } = await readAll(fileOf(name, content))
    expect(readings).toHaveLength(1)
    expect(errors.map(({ line, column }) => [line, column])).toEqual(lines.map((line) => [line, 'sensor_id']))
  })

  test.each([
    ['latin1', latin('sensor_id,ts,power_w\nK\xfchl,1,1\nK\xf6hl,2,1\n')],
    ['utf-16le', Buffer.from('\uFEFFsensor_id,ts,power_w\nKühl,1,1\nKöhl,2,1\n', 'utf16le')],
  ])('--encoding %s reads them as they are', async (encoding, content) => {
    const { readings, errors } = await readAll(fileOf('a.csv', content, { encoding }))
    expect(errors).toEqual([])
    expect(readings.map(({ sensor_id }) => sensor_id)).toEqual(['Kühl', 'Köhl'])
  })

  test('a file that is not in its encoding is refused in one sentence', async () => {
    await expect(readAll(fileOf('a.csv', Buffer.from([0xff, 0xff, 0x80]), { encoding: 'euc-jp' }))).rejects.toThrow(
      /not text in/,
    )
    expect(() => checkEncoding('klingon')).toThrow(expect.objectContaining({ code: 'ENCODING' }))
  })

  test.each(['9007199254740993', '9007199254740992', 'true', '7'])('a JSON id that is %s is refused', async (id) => {
    const { readings, errors } = await readAll(fileOf('a.jsonl', `{"sensor_id":${id},"ts":1,"power_w":1}\n`))
    expect(readings).toEqual([])
    expect(errors).toMatchObject([{ line: 1, column: 'sensor_id', code: 'WRONG_TYPE' }])
    const mapped = await readAll(fileOf('a.jsonl', `{"device":${id},"ts":1,"power_w":1}\n`, { sensorColumn: 'device' }))
    expect(mapped.errors).toMatchObject([{ line: 1, column: 'device', code: 'WRONG_TYPE' }])
  })

  test('ids of digits in a CSV keep all of them', async () => {
    const { readings } = await readAll(
      fileOf('a.csv', 'sensor_id,ts,power_w\n9007199254740993,1,1\n9007199254740992,2,1\n007,3,1\n'),
    )
    expect(readings.map(({ sensor_id }) => sensor_id)).toEqual(['9007199254740993', '9007199254740992', '007'])
  })
})

describe('K7: times', () => {
  const NOON = Date.UTC(2026, 0, 31, 12)
  test.each([
    ['us', `${NOON}000`, NOON],
    ['us', `${NOON}999`, NOON + 1],
    ['ns', `${NOON}000000`, NOON],
    ['ns', `${NOON}999999`, NOON],
    ['ms', '1.66384623162e+12', 1_663_846_231_620],
    ['s', '1.7e9', 1_700_000_000_000],
    ['iso', '20260131T120000Z', NOON],
    ['iso', '20260131T120000', NOON],
    ['iso', '2026-01-31T13:00:00+01', NOON],
    ['iso', '2026-01-31T13:00+0100', NOON],
    ['iso', '2026-01-31 12:00:00 UTC', NOON],
    ['iso', '2026-01-31t12:00:00z', NOON],
    ['iso', '2026-01-31T12:00:00,250Z', NOON + 250],
    ['iso', '2026-01-31T12:00:00.123456789Z', NOON + 123],
  ])('%s: %s', (format, text, ms) => expect(timeParser(format)(text)).toBe(ms))

  test.each([
    ['iso', '2026-0131T12:00:00Z'],
    ['iso', '2026-01-31T12:00:00+25'],
    ['iso', '2026-01-31T24:01:00Z'],
    ['iso', '2026-13-01'],
    ['ms', '0x10'],
    ['ms', '1_000'],
    ['us', ''],
    ['ns', '1e'],
  ])('%s refuses %s', (format, text) =>
    expect(() => timeParser(format)(text)).toThrow(expect.objectContaining({ field: 'ts' })),
  )

  test('a time before the earliest is refused with the unit that fits', async () => {
    const bounds = { earliestMs: Date.UTC(2000, 0, 1), futureMs: 300_000 }
    const { errors } = await readAll(
      fileOf('a.csv', 'sensor_id,ts,power_w\na,1700000000,1\na,1700000000000000,1\n', { bounds }),
    )
    expect(errors.map(({ message }) => /it fits as (\w+)/.exec(message)?.[1])).toEqual(['seconds', 'microseconds'])
  })
})

describe('K8: a name that occurs twice is refused', () => {
  test('in the header of a CSV, with its columns', async () => {
    await expect(readAll(fileOf('a.csv', 'sensor_id,ts,power_w,power_w\na,1,1,2\n'))).rejects.toThrow(
      /power_w in columns 3 and 4/,
    )
  })
  test('in a JSON line', async () => {
    const { errors } = await readAll(fileOf('a.jsonl', '{"sensor_id":"a","ts":1,"power_w":1,"power_w":2}\n'))
    expect(errors).toMatchObject([{ line: 1, column: 'power_w', code: 'REPEATED_NAME' }])
  })
})

describe('K9: what loses data silently', () => {
  test.each(['a.csv', 'a.jsonl'])('a byte order mark is no part of the first line of %s', async (name) => {
    const text = name === 'a.csv' ? 'sensor_id,ts,power_w\na,1,1\n' : '{"sensor_id":"a","ts":1,"power_w":1}\n'
    const { readings, errors } = await readAll(fileOf(name, `\uFEFF${text}`))
    expect([readings.length, errors]).toEqual([1, []])
  })

  test('a foreign column "epoch" or "seq" is ours only together with the other', async () => {
    const { readings } = await readAll(fileOf('a.csv', 'sensor_id,ts,power_w,epoch\na,1,1,1700000000\n'))
    expect(readings[0]).toMatchObject({ epoch: 0, seq: 0 })
    const numbered = await readAll(fileOf('a.csv', 'sensor_id,ts,power_w,epoch,seq\na,1,1,7,3\n'))
    expect(numbered.readings[0]).toMatchObject({ epoch: 7, seq: 3 })
  })

  test.each(['0x10', '1_000', '0b1', '0o7', 'Infinity', 'NaN', '1,5', '5W'])('%s is no number', async (cell) => {
    const { errors } = await readAll(fileOf('a.csv', `sensor_id;ts;power_w\na;1;${cell}\n`, { delimiter: ';' }))
    expect(errors).toMatchObject([{ line: 2, column: 'power_w', code: 'NOT_A_NUMBER' }])
  })
})

describe('security 13: a malformed CSV is one sentence', () => {
  test.each(['a,"b\n', 'sensor_id,ts,power_w\n"a,1,1\n', 'sensor_id,ts,power_w\na"b"c,1,1\n"x"y,2,3\n'])(
    '%j',
    async (text) => {
      const outcome = await readAll(fileOf('a.csv', text)).catch((error: unknown) => error)
      if (outcome instanceof Error)
        expect(outcome).toMatchObject({ code: expect.stringMatching(/^(CSV|COLUMNS)$/), field: expect.any(String) })
    },
  )
  test('so is a delimiter that cannot be one', async () => {
    await expect(readAll(fileOf('a.csv', 'a,b\n', { delimiter: '' }))).rejects.toMatchObject({ code: 'CSV' })
  })
})
