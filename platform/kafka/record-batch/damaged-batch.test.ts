// A batch that cannot be read never stops its reader: it becomes one unreadable record, whatever is wrong with it.
import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { AT, builderOf, compressed, sealed, stamped, withRecords } from './record-batch.test-support.ts'
import { HEADER_BYTES, readRecordBatch, unpack } from './record-batch.ts'

const BASE = 700
const COUNT = 5
const MB = 1024 * 1024

const sound = (): Buffer => {
  const records = Array.from({ length: COUNT }, (_, i) => ({ key: Buffer.from('k'), value: Buffer.from(`value ${i}`) }))
  return stamped(builderOf(records).finish(0, -1n, -1, -1, false), { baseOffset: BASE, appendTime: 1_000 })
}

const flipped = (at: number): Buffer => {
  const batch = sound()
  batch[at] ^= 0x55
  return batch
}

/** The header claims COUNT records; what it holds is `records`. */
const holding = (records: Buffer, codec: number): Buffer => withRecords(sound(), records, codec)

const KINDS: [string, () => Buffer, RegExp][] = [
  ['a gzip bomb', () => holding(gzipSync(Buffer.alloc(80 * MB)), 1), /larger|limit/],
  ['a zstd bomb', () => holding(zstdCompressSync(Buffer.alloc(80 * MB)), 4), /larger|limit/],
  ['a snappy block that claims 4 GB', () => holding(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), 2), /4294967295/],
  ['an unknown codec', () => holding(sound().subarray(HEADER_BYTES), 7), /unknown codec 7/],
  ['a truncated gzip stream', () => holding(gzipSync(Buffer.alloc(1_000)).subarray(0, 12), 1), /unpacked/],
  ['bytes that are no gzip', () => holding(Buffer.from('no gzip at all'), 1), /unpacked/],
  ['a wrong checksum', () => flipped(HEADER_BYTES + 3), /checksum/],
  ['a record that ends elsewhere', () => sealed(sound().fill(0x7e, HEADER_BYTES, HEADER_BYTES + 1)), /does not end/],
  [
    'more records than it has',
    () => (sound().writeInt32BE(9, AT.count), withRecords(sound(), Buffer.alloc(0))),
    /claims/,
  ],
]

describe('security 2: a batch that cannot be read', () => {
  test.each(KINDS)('is one unreadable record at its last offset: %s', (_kind, make, reason) => {
    const batch = readRecordBatch(make())
    expect(batch.count).toBe(1)
    expect([batch.offset(0), batch.lastOffset]).toEqual([BASE + COUNT - 1, BASE + COUNT - 1])
    expect([batch.key(0), batch.value(0), batch.headers(0)]).toEqual([null, null, []])
    expect(batch.problem).toMatch(/^offsets 700 to 704 cannot be read: /)
    expect(batch.problem).toMatch(reason)
  })

  test('is the same record from whichever of its offsets it is fetched', () => {
    const bomb = holding(Buffer.from('no gzip at all'), 1)
    for (let from = BASE; from < BASE + COUNT; from += 1)
      expect(readRecordBatch(bomb, from).offset(0)).toBe(BASE + COUNT - 1)
    expect(readRecordBatch(bomb, BASE + COUNT).count).toBe(0)
  })

  test('keeps the broker’s time where the checksum vouches for it, and none where it does not', () => {
    expect(readRecordBatch(holding(Buffer.from('no gzip'), 1)).timestamp(0)).toBe(1_000)
    const damaged = sound()
    damaged.writeBigInt64BE(2n ** 62n, AT.maxTimestamp)
    expect(readRecordBatch(damaged).timestamp(0)).toBe(0)
  })

  test('never throws and never goes back, whatever was flipped after the offset and the size', () => {
    check(
      fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (place, flip) => {
        const batch = sound()
        batch[AT.magic + (place % (batch.length - AT.magic))] ^= flip
        const read = readRecordBatch(batch)
        expect(read.count).toBeGreaterThan(0)
        expect(read.lastOffset).toBeGreaterThanOrEqual(BASE)
      }),
      500,
    )
  })

  test('a batch that can be read has no problem', () => {
    expect(readRecordBatch(compressed(sound(), 'zstd')).problem).toBeNull()
  })
})

describe('security 2: what is handed over together', () => {
  const large = (baseOffset: number): { bytes: Buffer } => {
    const value = Buffer.alloc(10 * MB)
    const batch = stamped(builderOf([{ key: null, value }]).finish(0, -1n, -1, -1, false), { baseOffset })
    return { bytes: compressed(batch, 'gzip') }
  }

  test('is bounded by what it unpacks to, not by what was fetched', () => {
    const fetched = Array.from({ length: 9 }, (_, i) => large(i))
    expect(fetched.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBeLessThan(MB)
    const pieces = [...unpack(fetched, 0, 20)].map(({ batches, nextOffset }) => [batches.length, nextOffset])
    expect(pieces).toEqual([
      [4, 4],
      [4, 8],
      [1, 21],
    ])
  })

  test('passes the offsets of what was left out', () => {
    expect([...unpack([], 5, 9)]).toEqual([{ batches: [], nextOffset: 10 }])
  })
})
