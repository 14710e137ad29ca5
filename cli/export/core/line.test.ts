import { parse } from 'csv-parse/sync'
import { describe, expect, test } from 'vitest'
import { METRICS } from '../../../schemas/metrics.ts'
import type { Reading } from '../../../platform/codec/reading.ts'
import { exportHeader, exportLine } from './line.ts'

const reading: Reading = {
  tenant_id: 'acme',
  site_id: 'site "1", hall',
  node_id: '=cmd()',
  sensor_id: '../..\n{"late":true}',
  epoch: 3,
  seq: 4,
  ts: 5,
  mono_ms: 6.5,
  ...Object.fromEntries(METRICS.map(({ name }) => [name, null])),
  power_w: -1.5,
  tags: { '+a': 'b,c' },
  erase: ['voltage_v'],
}

describe('a line of an export', () => {
  test('MI-9: is one line of JSON with every field, its arrival and whether it was late', () => {
    const line = exportLine('jsonl', reading, 7, true)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(JSON.parse(line)).toEqual({ ...reading, arrival: 7, late: true })
  })

  test('MI-9: is a row of CSV under the header, in which no name begins a formula and measurements stay numbers', () => {
    const [row] = parse(exportHeader('csv') + exportLine('csv', reading, 7, false), { columns: true }) as Record<
      string,
      string
    >[]
    expect(row).toMatchObject({
      node_id: "'=cmd()",
      site_id: reading.site_id,
      sensor_id: reading.sensor_id,
      power_w: '-1.5',
      voltage_v: '',
      tags: '{"+a":"b,c"}',
      arrival: '7',
      late: 'false',
    })
    expect(Object.keys(row)).toEqual([...Object.keys(JSON.parse(exportLine('jsonl', reading, 7, false)) as object)])
  })
})
