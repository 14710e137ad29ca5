// Cells are read back by an independent CSV parser; what a spreadsheet would run must not begin a cell.
import { parse } from 'csv-parse/sync'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readingOf } from '../../test/fixtures/load.ts'
import { check } from '../../test/fixtures/property.ts'
import { ORDER_HEADER, rowOf, textCell, timeCell } from './replica-csv.ts'

const anyName = fc.oneof(
  fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
  fc.constantFrom('=1+1', '+1', '-1', '@SUM(A1)', '\t=1', '\r=1', '\n=1', "'=1", 'a,b', 'say "hi"', 'ü', 'a\nb', '..'),
)

describe('rows of a replica (DS-4)', () => {
  test('the columns are those of the requirement', () => {
    expect(ORDER_HEADER).toBe('sequence,timestamp,sensor_id,temperature_c,humidity_pct,pressure_hpa\n')
  })

  test('a row has the event time in UTC with milliseconds, numbers as they are and nothing for null', () => {
    const reading = readingOf('s1', 1, 0, Date.UTC(2026, 0, 2, 3, 4, 5, 6), { temperature_c: -3.5, pressure_hpa: 1e-7 })
    expect(rowOf(7, textCell('s1'), reading)).toBe('7,2026-01-02T03:04:05.006Z,s1,-3.5,,1e-7\n')
  })

  test('a time that no date can have stays a number', () => {
    expect(timeCell(-8.64e15)).toBe('-271821-04-20T00:00:00.000Z')
    expect(timeCell(-8.64e15 - 1)).toBe('-8640000000000001')
  })

  test('whatever the sensor is called, its row is one line, parses to six cells, and begins no formula', () => {
    check(
      fc.property(anyName, (sensor) => {
        const line = rowOf(1, textCell(sensor), readingOf(sensor, 1, 0, 0))
        expect(line.indexOf('\n')).toBe(line.length - 1)
        const [cells] = parse(line) as string[][]
        expect(cells).toHaveLength(6)
        expect(cells[2]).not.toMatch(/^[=+\-@\t\r\n]/)
      }),
      500,
    )
  })

  test('names without anything special stay as they are, and two names never share a cell', () => {
    check(
      fc.property(anyName, anyName, (a, b) => {
        fc.pre(a !== b && !a.includes('\\') && !b.includes('\\'))
        expect(textCell(a)).not.toBe(textCell(b))
      }),
      500,
    )
    expect(textCell('climate-0001')).toBe('climate-0001')
    expect(textCell('=1+1')).toBe("'=1+1")
    expect(textCell('-5,"x"')).toBe('"\'-5,""x"""')
  })
})
