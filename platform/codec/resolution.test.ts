import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadSchema } from '../../schemas/load.ts'
import { check } from '../../test/fixtures/property.ts'
import { UnsupportedSchema } from './avro-schema.ts'
import { type Reading, readingType } from './reading.ts'
import { readingOf, readingSchema } from './reading-decoder.ts'
import { planScan, type ScanPlan } from './reading-plan.ts'
import { ReadingScanner } from './reading-scanner.ts'
import { branchesOf, byAvsc, resolves, type Type, written } from './resolution.test-support.ts'

const schema = loadSchema('reading')
const scanner = new ReadingScanner()

const BASE: Reading = {
  ...{ tenant_id: 'acme', site_id: 'fs', node_id: 'n', sensor_id: 's', epoch: 7, seq: 0, ts: 1_790_000_000_123 },
  ...{ mono_ms: 0, power_w: 1, tags: {} },
}
const withField = (name: string, type: unknown) => ({
  ...schema,
  fields: [...schema.fields.filter((field) => field.name !== name), { name, type }],
})

/** What the scanner reads of a record that a writer with this schema has written. */
function read(writer: unknown, given: Record<string, unknown>): Reading | string {
  const bytes = avsc.Type.forSchema(writer as avsc.Schema, { logicalTypes: {} }).toBuffer({ ...BASE, ...given })
  return readBytes(planScan(writer), bytes)
}

function readBytes(plan: ScanPlan, bytes: Buffer): Reading | string {
  return scanner.scan(plan, bytes, 0, bytes.length) ? readingOf(scanner, bytes) : (scanner.problem ?? 'malformed')
}

describe('K6: the scanner resolves as avsc does, for generated schemas', () => {
  test('the same reading, or both refuse the record; and every cut of it is refused', () => {
    let read = 0
    let refused = 0
    check(
      fc.property(written, fc.nat(), (given, cut) => {
        const fits = given.schema.fields.every(
          (field) => field.name.startsWith('added') || branchesOf(field).some((type) => resolves(field.name, type)),
        )
        const planned = readingSchema(JSON.stringify(given.schema))
        expect('plan' in planned).toBe(fits)
        if (!('plan' in planned)) {
          refused += 1
          expect(schema.fields.some(({ name }) => planned.refused.includes(name))).toBe(true)
          return
        }
        const expected = byAvsc(given)
        const found = readBytes(planned.plan, given.bytes)
        if (expected === null) {
          refused += 1
          expect(schema.fields.some(({ name }) => String(found).includes(name))).toBe(true)
          return
        }
        read += 1
        expect(found).toEqual(expected)
        expect(typeof readBytes(planned.plan, given.bytes.subarray(0, cut % given.bytes.length))).toBe('string')
        expect(readBytes(planned.plan, Buffer.concat([given.bytes, Buffer.from([0])]))).toBe('malformed')
      }),
      300,
    )
    expect(read).toBeGreaterThan(0)
    expect(refused).toBeGreaterThan(0)
  })

  test('arbitrary bytes under any schema end in a verdict, never in an exception', () => {
    check(
      fc.property(written, fc.uint8Array({ maxLength: 300 }), fc.nat(), (given, noise, at) => {
        const planned = readingSchema(JSON.stringify(given.schema))
        if (!('plan' in planned)) return
        readBytes(planned.plan, Buffer.from(noise))
        const place = at % (given.bytes.length + 1)
        readBytes(planned.plan, Buffer.concat([given.bytes.subarray(0, place), noise, given.bytes.subarray(place)]))
      }),
      300,
    )
  })

  test('arbitrary JSON as a schema is a plan or one sentence', () => {
    check(
      fc.property(fc.json({ maxDepth: 6 }), (text) => {
        const planned = readingSchema(text)
        expect('plan' in planned || planned.refused.length > 0).toBe(true)
      }),
      500,
    )
  })
})

describe('with another writer’s schema', () => {
  test.each<[string, string, unknown, unknown]>([
    ['K1: a metric of type null', 'power_w', 'null', null],
    ['K1: a metric of a union of null alone', 'power_w', ['null'], null],
    ['K6: a branch of the metric without a counterpart, not taken', 'power_w', ['null', 'string', 'double'], null],
    ['K6: an id in a union', 'sensor_id', ['null', 'string'], 's'],
    ['K6: an epoch in a union', 'epoch', ['null', 'long'], 7],
    ['K6: a ts of type int', 'ts', 'int', 1_790_000],
    ['K6: a ts in a union', 'ts', ['null', { type: 'long', logicalType: 'timestamp-millis' }], 1_790_000_000_123],
  ])('%s is read', (_what, name, type, value) => {
    const expected = { ...(read(schema, {}) as Reading), [name]: value }
    expect(read(withField(name, type), { [name]: value })).toEqual(expected)
  })

  test.each<[string, Type]>([
    ['sensor_id', ['null', 'string']],
    ['tenant_id', ['string', 'null']],
    ['site_id', ['null', 'string']],
    ['epoch', ['null', 'long']],
    ['ts', ['long', 'null']],
    ['tags', ['null', { type: 'map', values: 'string' }]],
  ])('K6: a %s that is null is refused in its record, by name', (name, type) => {
    expect(read(withField(name, type), { [name]: null })).toMatch(new RegExp(`^${name} is null; it must be `))
  })

  test.each<[string, Type, string]>([
    ['sensor_id', 'double', 'sensor_id has the type double; it must be a string'],
    ['ts', 'double', 'ts has the type double; it must be a long of milliseconds'],
    ['seq', ['null', 'string'], 'seq has the type union of null, string; it must be a long'],
    ['power_w', 'string', 'power_w has the type string; it must be a number or null'],
    ['tags', { type: 'map', values: 'long' }, 'a value of tags has the type long; it must be a string'],
    ['ts', { type: 'long', logicalType: 'local-timestamp-millis' }, 'ts has the type long (local-timestamp-millis)'],
    ['ts', { type: 'int', logicalType: 'date' }, 'ts has the type int (date)'],
    ['added', 'Unknown', 'added has type "Unknown", which is not defined'],
  ])('K6: a schema whose %s does not resolve is refused once, by name (%j)', (name, type, message) => {
    expect(() => planScan(withField(name, type))).toThrow(message)
    expect(readingSchema(JSON.stringify(withField(name, type)))).toEqual({ refused: expect.stringContaining(message) })
  })

  test('fields that are missing have their defaults, and those without one are named', () => {
    const fields = schema.fields.filter(({ name }) => ['tenant_id', 'sensor_id', 'ts'].includes(name))
    expect(read({ ...schema, fields }, {})).toEqual(
      readingType.fromBuffer(readingType.toBuffer({ ...BASE, site_id: '', node_id: '', epoch: 0, power_w: null })),
    )
    for (const missing of ['tenant_id', 'sensor_id', 'ts']) {
      const others = schema.fields.filter(({ name }) => name !== missing)
      expect(() => planScan({ ...schema, fields: others })).toThrow(`is not a Reading: it has no ${missing}`)
    }
    expect(() => planScan(loadSchema('extent'))).toThrow(UnsupportedSchema)
  })

  test.each([
    ['timestamp-millis', 1_790_000_000_123n, 1_790_000_000_123],
    ['timestamp-micros', 1_790_000_000_123_999n, 1_790_000_000_123],
    ['timestamp-micros', -1n, -1],
    ['timestamp-nanos', 1_790_000_000_123_999_999n, 1_790_000_000_123],
    ['timestamp-nanos', 1_790_000_000_124_000_000n, 1_790_000_000_124],
    ['timestamp-nanos', -9_000_000_000_000_000_001n, -9_000_000_000_001],
  ])('K7: a ts of %s %d is read in milliseconds', (logicalType, value, ms) => {
    const writer = {
      ...schema,
      fields: ['tenant_id', 'sensor_id', 'ts'].map((name) => ({
        name,
        type: name === 'ts' ? { type: 'long', logicalType } : 'string',
      })),
    }
    let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
    const varint: number[] = []
    for (; raw > 0x7fn; raw >>= 7n) varint.push(Number(raw & 0x7fn) | 0x80)
    const bytes = Buffer.from([2, 97, 2, 98, ...varint, Number(raw)])
    expect(readBytes(planScan(writer), bytes)).toMatchObject({ ts: ms })
  })

  test('K6: a recursive record is passed over as deep as it may be, and deeper ones are refused by depth', () => {
    const list = { type: 'record', name: 'List', fields: [{ name: 'next', type: ['null', 'List'] }] }
    const plan = planScan(withField('added', list))
    const head = readingType.toBuffer({
      ...BASE,
      ...Object.fromEntries(
        schema.fields.flatMap(({ name, default: none }) => (none === null && name !== 'power_w' ? [[name, null]] : [])),
      ),
    })
    const nested = (depth: number): Buffer => Buffer.concat([head, Buffer.alloc(depth, 2), Buffer.from([0])])
    expect(readBytes(plan, nested(100))).toMatchObject({ power_w: 1 })
    expect(readBytes(plan, nested(1_000_000))).toContain('deep')
  })

  test('values without bytes are passed over however many there are', () => {
    const empty = {
      type: 'record',
      name: 'Empty',
      fields: Array.from({ length: 1_000 }, (_, i) => ({ name: `f${i}`, type: 'null' })),
    }
    const plan = planScan({
      ...schema,
      fields: [{ name: 'added', type: { type: 'array', items: empty } }, ...schema.fields],
    })
    const rest = readingType.toBuffer({ ...BASE })
    const count = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f] // 2^52 - 1
    expect(readBytes(plan, Buffer.concat([Buffer.from([...count, 0]), rest]))).toMatchObject({ sensor_id: 's' })
  })

  test('a schema without end is refused: too deep, too many types, and references that are not defined', () => {
    let deep: Type = 'int'
    for (let i = 0; i < 5_000; i += 1) deep = { type: 'array', items: deep }
    expect(() => planScan(withField('added', deep))).toThrow('levels')
    const many = Array.from({ length: 30_000 }, (_, i) => ({ name: `f${i}`, type: 'int' }))
    expect(() => planScan({ ...schema, fields: [...schema.fields, ...many] })).toThrow('more than 20000 types')
  })
})
