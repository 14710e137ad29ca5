import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { encodeHeaders, RecordBatchBuilder } from './builder.ts'
import { HEADER_BYTES, RecordBatch } from './record-batch.ts'
import {
  AT,
  builderOf,
  CODECS,
  compressed,
  sealed,
  stamped,
  type TestRecord,
  recordBatchOf,
  withRecords,
} from './record-batch.test-support.ts'
import { writeVarint } from './varint.ts'

const bytes = fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ minLength: 100, maxLength: 400 }))
const header = fc.record({
  key: fc.string({ unit: 'grapheme', maxLength: 12 }),
  value: bytes.map((value) => Buffer.from(value)),
})
const record: fc.Arbitrary<TestRecord> = fc.record({
  key: fc.option(bytes),
  value: fc.option(bytes),
  headers: fc.array(header, { maxLength: 3 }),
})
const records = fc.array(record, { minLength: 1, maxLength: 40 })
const codec = fc.constantFrom(...CODECS)

const plain = (part: Uint8Array | null): number[] | null => (part === null ? null : [...part])

function readBack(batch: RecordBatch): object[] {
  return Array.from({ length: batch.count }, (_, i) => ({
    offset: batch.offset(i),
    key: plain(batch.key(i)),
    value: plain(batch.value(i)),
    hasHeaders: batch.hasHeaders(i),
    headers: batch.headers(i).map(({ key, value }) => ({ key, value: plain(value) })),
  }))
}

const expected = (input: readonly TestRecord[], baseOffset: number): object[] =>
  input.map(({ key, value, headers = [] }, i) => ({
    offset: baseOffset + i,
    key: plain(key),
    value: plain(value),
    hasHeaders: headers.length > 0,
    headers: headers.map((h) => ({ key: h.key, value: plain(Buffer.from(h.value as Buffer)) })),
  }))

const batchOf = (input: readonly TestRecord[], baseOffset = 0): Buffer =>
  stamped(builderOf(input).finish(77, 5n, 1, 9, true), { baseOffset })
const some = (count: number): TestRecord[] =>
  Array.from({ length: count }, (_, i) => ({
    key: Buffer.from(`key-${i}`),
    value: Buffer.from(`value-${i}`.repeat(5)),
  }))

describe('a batch', () => {
  test('is read as it was built, whatever compressed it in between', () => {
    check(
      fc.property(
        records,
        codec,
        fc.maxSafeNat().map((offset) => Math.floor(offset / 4_096)),
        (input, how, baseOffset) => {
          const batch = new RecordBatch(compressed(batchOf(input, baseOffset), how))
          expect(readBack(batch)).toEqual(expected(input, baseOffset))
          expect(batch.baseOffset).toBe(baseOffset)
          expect(batch.lastOffset).toBe(baseOffset + input.length - 1)
          expect(batch.producerId).toBe(5n)
          expect([batch.transactional, batch.control]).toEqual([true, false])
          expect(batch.timestamp(0)).toBe(77)
        },
      ),
      300,
    )
  })

  test('keeps what it holds when it grows and when it is built again after clear', () => {
    const builder = new RecordBatchBuilder()
    builder.add(null, Buffer.alloc(100_000, 1))
    builder.finish(0, -1n, -1, -1, false)
    builder.clear()
    const input = [...some(3), { key: null, value: Buffer.alloc(300_000, 7) }, ...some(2)]
    for (const { key, value } of input) builder.add(key, value)
    const batch = builder.finish(0, -1n, -1, -1, false)
    expect(batch.length).toBe(builder.byteLength)
    expect(readBack(new RecordBatch(Buffer.from(batch)))).toEqual(expected(input, 0))
  })

  test('gives the broker’s arrival time to every record, and without it the producer’s', () => {
    const input = some(3)
    expect(recordBatchOf(input, { appendTime: 1_234 }).timestamp(2)).toBe(1_234)
    const times = recordsWithTimes([5, -3, 2 ** 40])
    const batch = new RecordBatch(withRecords(batchOf(some(3)), times))
    expect([0, 1, 2].map((i) => batch.timestamp(i))).toEqual([82, 74, 77 + 2 ** 40])
  })

  test('is read from an offset inside of it', () => {
    check(
      fc.property(records, codec, fc.nat(1_000), fc.integer({ min: -50, max: 50 }), (input, how, baseOffset, shift) => {
        const batch = new RecordBatch(compressed(batchOf(input, baseOffset), how), baseOffset + shift)
        expect(readBack(batch)).toEqual(expected(input, baseOffset).slice(Math.max(0, shift)))
      }),
      100,
    )
  })

  test('appends from the middle of other byte arrays', () => {
    const source = Buffer.from('..key..value..')
    const builder = new RecordBatchBuilder()
    builder.append(source, 2, 3, source, 7, 5)
    builder.append(source, 0, -1, source, 0, 0, encodeHeaders([]))
    const batch = new RecordBatch(Buffer.from(builder.finish(0, -1n, -1, -1, false)))
    expect([batch.key(0)!.toString(), batch.value(0)!.toString(), batch.key(1), batch.value(1)!.length]).toEqual([
      'key',
      'value',
      null,
      0,
    ])
  })
})

describe('a damaged batch', () => {
  test('is refused by its checksum when any byte after the checksum was flipped', () => {
    check(
      fc.property(records, fc.nat(), fc.integer({ min: 1, max: 255 }), (input, place, flip) => {
        const batch = batchOf(input)
        batch[AT.crc + (place % (batch.length - AT.crc))] ^= flip
        expect(() => new RecordBatch(batch)).toThrow(expect.objectContaining({ code: 'CORRUPT_BATCH' }))
      }),
      300,
    )
  })

  test('is refused when it is cut short at any place', () => {
    const batch = batchOf(some(5))
    for (let length = 0; length < batch.length; length += 1) {
      expect(() => new RecordBatch(batch.subarray(0, length)), `${length} bytes`).toThrow(
        expect.objectContaining({ code: 'CORRUPT_BATCH' }),
      )
    }
  })

  test.each([-1, 1_000, 2 ** 31 - 1])('is refused when it claims %i records', (count) => {
    const batch = batchOf(some(5))
    batch.writeInt32BE(count, AT.count)
    expect(() => new RecordBatch(sealed(batch))).toThrow(/claims|reaches|length/)
  })

  test('is refused when it holds more records than it claims', () => {
    const batch = batchOf(some(5))
    batch.writeInt32BE(4, AT.count)
    expect(() => new RecordBatch(sealed(batch))).toThrow(expect.objectContaining({ code: 'CORRUPT_BATCH' }))
  })

  test.each([
    ['headers without end', [2, 1]],
    ['2^31 headers', [...varint(2 ** 31 - 1)]],
    ['a header whose key is longer than the record', [2, ...varint(2 ** 30)]],
    ['a header with a key of negative length', [2, 1, 0]],
    ['a header whose value is longer than the record', [2, 2, 65, ...varint(2 ** 30)]],
    ['bytes after its headers', [2, 2, 65, 1, 0, 0]],
    ['a negative count of headers', [1]],
  ])('is refused for %s', (_what, headerBytes) => {
    expect(() => new RecordBatch(withRecords(batchOf(some(1)), recordWith(Buffer.from(headerBytes))))).toThrow(
      expect.objectContaining({ code: 'CORRUPT_BATCH' }),
    )
  })

  test('is refused when the offsets of its records do not ascend within the batch', () => {
    for (const deltas of [
      [0, 0],
      [1, 0],
      [0, 2],
      [-1, 0],
    ]) {
      const body = Buffer.concat(deltas.map((delta) => recordWith(Buffer.from([0]), 0, delta)))
      expect(() => new RecordBatch(withRecords(batchOf(some(2)), body)), String(deltas)).toThrow(
        expect.objectContaining({ code: 'CORRUPT_BATCH' }),
      )
    }
  })

  test('ends in an answer or in CORRUPT_BATCH whatever its records section holds, and reaches beyond no record', () => {
    const mutated = fc
      .tuple(records, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }))
      .map(([input, changes]) => {
        const batch = batchOf(input)
        const body = Buffer.from(batch.subarray(HEADER_BYTES))
        for (const [place, value] of changes) body[place % body.length] = value
        return withRecords(batch, body)
      })
    const random = fc.tuple(fc.nat(2_000), fc.uint8Array({ maxLength: 300 })).map(([count, body]) => {
      const batch = withRecords(batchOf(some(1)), Buffer.from(body))
      batch.writeInt32BE(count, AT.count)
      return sealed(batch)
    })
    check(
      fc.property(fc.oneof(mutated, random), (bytes) => {
        let batch: RecordBatch
        try {
          batch = new RecordBatch(bytes)
        } catch (error) {
          expect(error).toMatchObject({ code: 'CORRUPT_BATCH' })
          return
        }
        for (let i = 0; i < batch.count; i += 1) {
          expect(batch.keyAt(i) + Math.max(0, batch.keyLength(i))).toBeLessThanOrEqual(batch.bytes.length)
          expect(batch.valueAt(i) + Math.max(0, batch.valueLength(i))).toBeLessThanOrEqual(batch.bytes.length)
          expect(batch.headers(i).length).toBeLessThanOrEqual(batch.bytes.length)
        }
      }),
      1_000,
    )
  })
})

function varint(value: number): Uint8Array {
  const target = new Uint8Array(10)
  return target.slice(0, writeVarint(target, 0, value))
}

/** One record with null key and value and the given headers section. */
function recordWith(headers: Uint8Array, timeDelta = 0, offsetDelta = 0): Buffer {
  const times = timeDelta < 2 ** 31 ? varint(timeDelta) : Uint8Array.from([0x80, 0x80, 0x80, 0x80, 0x80, 0x40]) // 2^40, zigzag
  const body = Buffer.concat([Buffer.from([0]), times, varint(offsetDelta), varint(-1), varint(-1), headers])
  return Buffer.concat([varint(body.length), body])
}

const recordsWithTimes = (deltas: readonly number[]): Buffer =>
  Buffer.concat(deltas.map((delta, i) => recordWith(Buffer.from([0]), delta, i)))
