import { describe, expect, test } from 'vitest'
import { readingOf } from '../../../test/fixtures/load.ts'
import { jsonLine, TABLE_HEAD, tableLine } from './lines.ts'
import { parseSince } from './since.ts'

const shown = (sensor: string) => ({
  sequence: 1_000,
  partition: 3,
  offset: 77,
  orderedMs: 1_767_225_600_500,
  reading: readingOf(sensor, 5, 6, 1_767_225_600_000, { temperature_c: 20.5, power_w: -1 }),
})

describe('the order as text', () => {
  test('a line of the table has sequence, place, event time, sensor and the metrics that there are', () => {
    expect(TABLE_HEAD).toBe('  sequence  place         event time                sensor                        metrics')
    expect(tableLine(shown('s1'))).toBe(
      '      1000  3@77          2026-01-01T00:00:00.000Z  t1/s1                         power_w=-1  temperature_c=20.5',
    )
  })

  test('a line of JSON has the sequence, the place and the reading', () => {
    expect(JSON.parse(jsonLine(shown('s1')))).toEqual({
      sequence: 1000,
      partition: 3,
      offset: 77,
      ordered_at: 1_767_225_600_500,
      tenant_id: 't1',
      site_id: 's1',
      node_id: 'n1',
      sensor_id: 's1',
      epoch: 5,
      seq: 6,
      ts: 1_767_225_600_000,
      power_w: -1,
      temperature_c: 20.5,
      tags: {},
    })
  })

  test('a name neither steers the terminal nor makes a line of its own', () => {
    for (const line of [tableLine(shown('a\u001b[2J\nb')), jsonLine(shown('a\u001b[2J\nb'))])
      expect(line).not.toMatch(/[\u001b\n]/)
  })
})

describe('since when', () => {
  const now = Date.UTC(2026, 0, 31, 12)
  test('how long ago, or a time', () => {
    expect(parseSince('90s', now)).toBe(now - 90_000)
    expect(parseSince('2026-01-31T11:00:00Z', now)).toBe(now - 3_600_000)
  })
  test.each(['yesterday', '5', '', '8d', '200h', '2026-13-45'])('%j is refused with what is expected', (text) => {
    expect(() => parseSince(text, now)).toThrow(/--since/)
  })
})
