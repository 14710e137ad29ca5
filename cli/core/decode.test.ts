import avsc from 'avsc'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { encodeFramed, readingType } from '../../platform/codec/reading.ts'
import { check } from '../../test/fixtures/property.ts'
import { decodeValue, renderJson, renderRecord, textOf } from './decode.ts'

const reading = {
  tenant_id: 'acme',
  site_id: 'berlin',
  node_id: 'n1',
  sensor_id: 's1',
  epoch: 1,
  seq: 2,
  ts: 1_767_225_600_000,
  mono_ms: 5,
  power_w: 12.5,
  tags: { floor: '2' },
  erase: [],
}

it('an Avro value is decoded by its schema; metrics that it does not have are left out', () => {
  const value = encodeFramed(readingType, 7, reading)
  expect(decodeValue(value, readingType, 5)).toEqual({ value: reading })
  expect(decodeValue(value.subarray(5), readingType, 0)).toEqual({ value: reading })
})

it('what cannot be decoded is shown as it is, with the reason', () => {
  const type = avsc.Type.forSchema('long')
  expect(decodeValue(Buffer.from('no avro'), null, 5)).toEqual({
    value: 'no avro',
    note: 'not Avro in Confluent’s framing',
  })
  expect(decodeValue(Buffer.from([0, 0, 0, 0, 1, 0xff]), type, 5).note).toContain('not what its schema says')
  expect(decodeValue(null, null, 5).note).toContain('tombstone')
})

it('bytes that are no text are shown in hexadecimal, many of them cut', () => {
  expect(textOf(Buffer.from([0xff, 0x00]))).toEqual({ hex: 'ff00', bytes: 2 })
  expect(textOf(Buffer.alloc(1_000, 0xff))).toMatchObject({ bytes: 1_000 })
  expect(JSON.stringify(textOf(Buffer.alloc(1_000, 0xff))).length).toBeLessThan(200)
})

it('a record cannot make lines that look like another record, nor turn the order in which its own are read', () => {
  const record = { topic: 't', partition: 0, offset: 1, time: '', headers: { 'a\nb': 'c\nd' }, value: 'e\nf\u202eg' }
  const shown = renderRecord({ ...record, key: 'k\nt/0 @2  key forged' })
  expect(shown.split('\n')).toEqual(['t/0 @1    key k\\nt/0 @2  key forged', '  a\\nb: c\\nd', '  e\\nf\\u202eg'])
})

it('whatever a record holds, none of its bytes steers the terminal, and JSON stays JSON', () => {
  const anything = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.string({ unit: 'binary' }).map((sensor_id) => encodeFramed(readingType, 7, { ...reading, sensor_id })),
    fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  )
  check(
    fc.property(anything, fc.string({ unit: 'binary' }), (value, name) => {
      const decoded = decodeValue(value, value[0] === 0 ? readingType : null, 5)
      const record = { topic: 't', partition: 0, offset: 1, time: '', key: name, headers: { [name]: name }, ...decoded }
      const steers = /[^\P{Cc}\n\t]/u
      expect(renderRecord(record)).not.toMatch(steers)
      expect(renderJson(record)).not.toMatch(steers)
      expect(JSON.parse(renderJson(record))).toEqual(JSON.parse(JSON.stringify(record)))
    }),
    500,
  )
})

it('a dead letter shows the reason that its headers carry', () => {
  const headers = { '__connect.errors.exception.message': 'not a Reading' }
  const text = renderRecord({
    topic: 'telemetry.dlq',
    partition: 3,
    offset: 9,
    time: '2026-01-01T00:00:00.000Z',
    key: 'a/b',
    headers,
    value: 'x',
  })
  expect(text).toContain('telemetry.dlq/3 @9')
  expect(text).toContain('__connect.errors.exception.message: not a Reading')
})

it('a long value is cut for people and whole in JSON', () => {
  const record = {
    topic: 'telemetry.raw',
    partition: 0,
    offset: 7,
    time: '2026-01-01T00:00:00.000Z',
    key: 'k'.repeat(3_000),
    headers: { h: 'h'.repeat(3_000) },
    value: 'v'.repeat(900_000),
  }
  const shown = renderRecord(record)
  expect(shown.length).toBeLessThan(7_000)
  expect(shown).toContain('(900,000 characters; --json prints all)')
  expect(renderJson(record).length).toBeGreaterThan(900_000)
})
