import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadSchema } from '../../schemas/load.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { check } from '../../test/fixtures/property.ts'
import { type Reading, readingType } from './reading.ts'
import { NODE, planScan, SENSOR, SITE, TENANT } from './reading-plan.ts'
import { ReadingScanner } from './reading-scanner.ts'

const schema = loadSchema('reading')
const plan = planScan(schema)
const scanner = new ReadingScanner()

const text = fc.oneof(
  fc.string({ maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.string({ minLength: 100, maxLength: 200 }),
)
/** Zigzag doubles a long, and a double is exact up to 2^53. */
const long = fc.oneof(
  fc.integer(),
  fc.integer({ min: -300, max: 300 }),
  fc.maxSafeInteger().map((value) => Math.floor(value / 2)),
  fc.constantFrom(2 ** 52 - 1, -(2 ** 52) + 1, 2 ** 31, -(2 ** 31), 2 ** 27 - 1, 2 ** 27, 2 ** 28),
)
const metric = (min: number, max: number): fc.Arbitrary<number | null> =>
  fc.oneof(
    fc.constant(null),
    fc.double({ min, max, noNaN: true }),
    fc.double(),
    fc.constantFrom(min, max, 0, -0, NaN, Infinity, -Infinity, min - 1, max * 1.1),
  )
const tags = fc.oneof(
  fc.dictionary(text, text, { maxKeys: 5 }),
  fc
    .integer({ min: 100, max: 300 })
    .map((n) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`tag-${i}`, `value-${i}`]))),
)
const reading: fc.Arbitrary<Reading> = fc.record({
  tenant_id: text,
  site_id: text,
  node_id: text,
  sensor_id: text,
  epoch: long,
  seq: long,
  ts: long,
  mono_ms: fc.double(),
  ...Object.fromEntries(METRICS.map(({ name, min, max }) => [name, metric(min, max)])),
  tags,
}) as fc.Arbitrary<Reading>

/** Scans the bytes with others around them. */
function scan(bytes: Uint8Array, at = 0, by = plan): Record<string, unknown> | null {
  const around = Buffer.concat([Buffer.alloc(at, 0x80), bytes, Buffer.alloc(7, 0x02)])
  if (!scanner.scan(by, around, at, at + bytes.length)) return null
  const { idAt, idLength, epoch, seq, ts, metrics } = scanner
  const id = (index: number): string => around.toString('utf8', idAt[index], idAt[index] + idLength[index])
  return {
    tenant_id: id(TENANT),
    sensor_id: id(SENSOR),
    site_id: id(SITE),
    node_id: id(NODE),
    epoch,
    seq,
    ts,
    metrics: [...metrics],
  }
}

const expected = (value: Partial<Reading>): Record<string, unknown> => ({
  tenant_id: Buffer.from(value.tenant_id!).toString(),
  sensor_id: Buffer.from(value.sensor_id!).toString(),
  site_id: Buffer.from(value.site_id ?? '').toString(),
  node_id: Buffer.from(value.node_id ?? '').toString(),
  epoch: value.epoch ?? 0,
  seq: value.seq ?? 0,
  ts: value.ts,
  metrics: METRICS.map(({ name }) => value[name] ?? NaN),
})

const isInvalid = (value: Partial<Reading>): boolean =>
  METRICS.some(
    ({ name, min, max }) => value[name] != null && !((value[name] as number) >= min && (value[name] as number) <= max),
  )

describe('the scanner', () => {
  test('reads what avsc wrote, and says whether a metric is out of bounds', () => {
    check(
      fc.property(reading, fc.nat(4), (value, at) => {
        expect(scan(readingType.toBuffer(value), at)).toEqual(expected(value))
        expect(scanner.invalidMetric >= 0).toBe(isInvalid(value))
        if (scanner.invalidMetric >= 0)
          expect(isInvalid({ [METRICS[scanner.invalidMetric].name]: value[METRICS[scanner.invalidMetric].name] })).toBe(
            true,
          )
      }),
      500,
    )
  })

  test('keeps nothing of the reading before', () => {
    check(
      fc.property(reading, reading, (first, second) => {
        scan(readingType.toBuffer(first))
        expect(scan(readingType.toBuffer(second))).toEqual(expected(second))
      }),
      100,
    )
  })

  test('K6: takes every long, rounded as BigInt rounds, and refuses what has more than 64 bits', () => {
    const zero = readingType.toBuffer({ ...blank, ts: 0 })
    // ts 0 is the byte after the seq; other varints are put there.
    const at = 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 // four strings of lengths 1, 0, 0, 1, then epoch and seq
    const withTs = (varint: readonly number[]): Buffer =>
      Buffer.concat([zero.subarray(0, at), Buffer.from(varint), zero.subarray(at + 1)])
    expect(scan(withTs([0x80, 0x00]))).toMatchObject({ ts: 0 })
    check(
      fc.property(fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), edge), (value) => {
        const varint: number[] = []
        for (let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)); ; rest >>= 7n) {
          varint.push(Number(rest & 0x7fn) | (rest > 0x7fn ? 0x80 : 0))
          if (rest <= 0x7fn) break
        }
        expect(scan(withTs(varint))).toMatchObject({ ts: Number(value) })
      }),
      1_000,
    )
    expect(scan(withTs([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]))).toBeNull()
    expect(scan(withTs([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00]))).toBeNull()
  })
})

/** Around every power of two. */
const edge = fc
  .tuple(fc.integer({ min: 0, max: 62 }), fc.integer({ min: -2, max: 2 }), fc.constantFrom(1n, -1n))
  .map(([bits, add, sign]) => BigInt.asIntN(64, sign * (2n ** BigInt(bits) + BigInt(add))))

const blank: Reading = readingType.fromBuffer(
  readingType.toBuffer({
    tenant_id: 't',
    site_id: '',
    node_id: '',
    sensor_id: 's',
    epoch: 0,
    seq: 0,
    ts: 0,
    mono_ms: 0,
    ...Object.fromEntries(METRICS.map(({ name }) => [name, null])),
    tags: {},
  }),
) as Reading

/** What avsc makes of exactly these bytes; null when it refuses them or leaves some over. */
function byAvsc(type: avsc.Type, bytes: Buffer): Record<string, unknown> | null {
  try {
    const { value, offset } = type.decode(bytes) as { value: Partial<Reading>; offset: number }
    return offset === bytes.length ? expected(value) : null
  } catch {
    return null
  }
}

/** avsc alone refuses longs that a double does not hold exactly. */
const rounding = avsc.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => Number(buffer.readBigInt64LE()),
  toBuffer: () => Buffer.alloc(8),
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'number',
  compare: (a: number, b: number) => a - b,
})
/** A type with an attribute of its own, as "ts" has one, would not be looked up in the registry. */
const plainSchema = JSON.parse(JSON.stringify(schema), (_, part: unknown) =>
  part !== null && typeof part === 'object' && 'logicalType' in part ? (part as { type?: unknown }).type : part,
) as avsc.Schema
const lenientType = avsc.Type.forSchema(plainSchema, {
  logicalTypes: {},
  registry: { long: rounding },
})

/** Whatever the scanner accepts, avsc accepts as the same reading. */
function expectNoMoreThanAvsc(bytes: Buffer): boolean {
  const scanned = scan(bytes)
  if (scanned !== null) expect(byAvsc(lenientType, bytes)).toEqual(scanned)
  return scanned !== null
}

describe('on bytes that nobody vouches for, the scanner', () => {
  test('accepts nothing that avsc refuses, on changed encodings', () => {
    let accepted = 0
    const change = fc.tuple(
      fc.nat(),
      fc.nat(255),
      fc.constantFrom('set' as const, 'cut' as const, 'insert' as const, 'flip' as const),
    )
    check(
      fc.property(reading, fc.array(change, { minLength: 1, maxLength: 3 }), (value, changes) => {
        let bytes = readingType.toBuffer(value)
        for (const [place, byte, how] of changes) {
          const at = place % (bytes.length + 1)
          if (how === 'set') bytes[at] = byte
          else if (how === 'flip') bytes[at] ^= 1 << (byte & 7)
          else if (how === 'cut') bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + (byte & 3))])
          else bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from([byte]), bytes.subarray(at)])
        }
        // avsc would be kept busy by a forged count of tags; those are the next test's.
        if (scan(bytes) !== null && expectNoMoreThanAvsc(bytes)) accepted += 1
      }),
      1_500,
    )
    expect(accepted).toBeGreaterThan(0)
  })

  test('accepts nothing that avsc refuses, on arbitrary bytes', () => {
    const prefix = fc.constantFrom(
      Buffer.alloc(0),
      readingType.toBuffer(blank).subarray(0, 17),
      readingType.toBuffer(blank).subarray(0, -2), // without the ends of tags and erase,
    )
    check(
      fc.property(
        prefix,
        fc.uint8Array({ maxLength: 60 }),
        (lead, bytes) => void expectNoMoreThanAvsc(Buffer.concat([lead, bytes])),
      ),
      3_000,
    )
  })

  test('refuses every prefix of a reading, and a reading with bytes after it', () => {
    const bytes = readingType.toBuffer({ ...blank, power_w: 3, tags: { room: 'kitchen', floor: '2' } })
    expect(scan(bytes)).not.toBeNull()
    for (let length = 0; length < bytes.length; length += 1)
      expect(scan(bytes.subarray(0, length)), `${length} bytes`).toBeNull()
    expect(scan(Buffer.concat([bytes, Buffer.from([0])]))).toBeNull()
  })

  test('is not kept busy by a forged count of tags', () => {
    const lead = readingType.toBuffer(blank).subarray(0, -2) // without the ends of tags and erase
    const counts = [
      [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f], // 2^52 − 1 entries
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x02], // −2^52 entries in a block of 1 byte
      [0xc8, 0x01], // 100 entries
      [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ]
    for (const count of counts) {
      for (const rest of [[], [0], [0, 0, 0], new Array<number>(64).fill(0x80), new Array<number>(64).fill(0x01)]) {
        expect(
          scan(Buffer.concat([lead, Buffer.from(count), Buffer.from(rest)])),
          `${count} + ${rest.length}`,
        ).toBeNull()
      }
    }
  })

  test('reads tags in several blocks, sized ones too', () => {
    const lead = readingType.toBuffer(blank).subarray(0, -2) // without the ends of tags and erase
    const entry = [2, 97, 2, 98] // a: b
    expect(scan(Buffer.concat([lead, Buffer.from([2, ...entry, 4, ...entry, ...entry, 0, 0])]))).toEqual(
      expected(blank),
    )
    expect(scan(Buffer.concat([lead, Buffer.from([1, 8, ...entry, 0, 0])]))).toEqual(expected(blank))
  })
})
