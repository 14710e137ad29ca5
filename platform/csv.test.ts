import fc from 'fast-check'
import { parse } from 'csv-parse/sync'
import { describe, expect, test } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { csvCell, csvLine } from './csv.ts'

describe('a CSV cell', () => {
  test.each([
    ['=1+1', "'=1+1"],
    ['+1', "'+1"],
    ['-1', "'-1"],
    ['@SUM(A1)', "'@SUM(A1)"],
    ['\tx', "'\tx"],
    ['\r=1', '"\'\r\'=1"'],
    ['=HYPERLINK("http://x","y")', '"\'=HYPERLINK(""http://x"",""y"")"'],
    ["'=1", "''=1"],
    ['x;=1+1', "x;'=1+1"],
    ['x; +1', "x;' +1"],
    ['x\t@y', "x\t'@y"],
    ['＝1+1', "'＝1+1"],
    ['a;－1', "a;'－1"],
    ['a;b', 'a;b'],
  ])('never begins a formula: %j', (text, cell) => {
    expect(csvCell(text)).toBe(cell)
  })

  test('leaves numbers, null and plain text as they are', () => {
    expect([-1.5, 0, 1e21, null, '', 'plant-1/s7', 'a=1'].map(csvCell)).toEqual([
      '-1.5',
      '0',
      '1e+21',
      '',
      '',
      'plant-1/s7',
      'a=1',
    ])
  })

  test('gives back any text, once its mark is taken off', () => {
    const texts = fc.array(
      fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom(...'=+-@\t\r\n\'", a;＝＠') })),
      {
        minLength: 2,
        maxLength: 5,
      },
    )
    check(
      fc.property(texts, (row) => {
        const [cells] = parse(csvLine(row), { record_delimiter: '\n' }) as [string[]]
        expect(cells.map((cell) => cell.replace(/(?<=^|[;\t\r\n])'/g, ''))).toEqual(row)
        for (const cell of cells) expect(cell).not.toMatch(/(?<=^|[;\t\r\n])[=+\-@\t\r＝＠]/)
      }),
      500,
    )
  })
})
