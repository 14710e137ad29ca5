import fc from 'fast-check'
import { expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { readVarint, varintEnd, varintSize, writeVarint } from './varint.ts'

const int32 = fc.oneof(
  fc.integer(),
  fc.integer({ min: -200, max: 200 }),
  fc.constantFrom(-(2 ** 31), 2 ** 31 - 1, 2 ** 27, 2 ** 28, -(2 ** 28)),
)

/** Zigzag and seven bits a byte, spelt out with big integers. */
function encode(value: bigint): number[] {
  let raw = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))
  const bytes: number[] = []
  while (raw >= 128n) {
    bytes.push(Number(raw & 127n) | 128)
    raw >>= 7n
  }
  return [...bytes, Number(raw)]
}

test('a 32-bit value is written as Kafka writes it, and read back with its end', () => {
  check(
    fc.property(int32, fc.nat(5), (value, at) => {
      const bytes = new Uint8Array(at + 10).fill(0xff)
      const end = writeVarint(bytes, at, value)
      expect([...bytes.subarray(at, end)]).toEqual(encode(BigInt(value)))
      expect(varintSize(value)).toBe(end - at)
      expect(readVarint(bytes, at)).toBe(value)
      expect(varintEnd(bytes, at)).toBe(end)
    }),
    2_000,
  )
})

test('a time delta beyond 32 bits is read exactly', () => {
  check(
    fc.property(fc.bigInt({ min: -(2n ** 52n), max: 2n ** 52n - 1n }), (value) => {
      expect(readVarint(Uint8Array.from(encode(value)), 0)).toBe(Number(value))
    }),
    1_000,
  )
})

test('any bytes are read without a throw and with an end that moves on', () => {
  check(
    fc.property(fc.uint8Array({ maxLength: 30 }), (bytes) => {
      expect(Number.isFinite(readVarint(bytes, 0))).toBe(true)
      expect(varintEnd(bytes, 0)).toBeGreaterThan(0)
      expect(varintEnd(bytes, 0)).toBeLessThanOrEqual(bytes.length + 1)
    }),
    1_000,
  )
})
