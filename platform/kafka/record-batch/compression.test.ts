import { gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import { compressSync } from 'snappy'
import { describe, expect, test } from 'vitest'
import { check } from '../../../test/fixtures/property.ts'
import { decompress } from './compression.ts'

const MB = 1024 * 1024
const SNAPPY = 2
const LZ4 = 3

const xerialHeader = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00, 0, 0, 0, 1, 0, 0, 0, 1])
const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}
const whyRefused = (codec: number, bytes: Buffer): string => {
  try {
    decompress(codec, bytes)
  } catch (error) {
    expect(error).toMatchObject({ code: 'CORRUPT_BATCH' })
    return ((error as Error).cause as Error).message
  }
  return 'accepted'
}

describe('decompression', () => {
  test.each([
    ['gzip', 1, gzipSync],
    ['snappy', SNAPPY, compressSync],
    ['lz4', LZ4, compressFrameSync],
    ['zstd', 4, zstdCompressSync],
  ] as const)('of %s gives back what was packed, large and small', (_name, codec, pack) => {
    const compressible = fc
      .tuple(fc.uint8Array({ maxLength: 50 }), fc.nat(2_000))
      .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => part)))
    check(
      fc.property(
        fc.oneof(
          compressible,
          fc.uint8Array({ maxLength: 3_000 }).map((bytes) => Buffer.from(bytes)),
        ),
        (bytes) => {
          expect(decompress(codec, Buffer.from(pack(bytes) as Uint8Array)).equals(bytes)).toBe(true)
        },
      ),
      60,
    )
    const large = Buffer.alloc(20 * MB, 'plumbline')
    expect(decompress(codec, Buffer.from(pack(large) as Uint8Array)).equals(large)).toBe(true)
  })

  test('reads frames of lz4 with and without checksums and uncompressible blocks', () => {
    const noise = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 31 + (i >> 3) * 7) & 0xff))
    for (const options of [
      {},
      { contentChecksum: true },
      { blockChecksums: true },
      { contentChecksum: true, blockChecksums: true },
    ]) {
      expect(decompress(LZ4, compressFrameSync(noise, options)).equals(noise), JSON.stringify(options)).toBe(true)
    }
  })

  test.each([
    ['gzip', 1, gzipSync],
    ['snappy', SNAPPY, compressSync],
    ['lz4', LZ4, compressFrameSync],
    ['zstd', 4, zstdCompressSync],
  ] as const)('of %s refuses what would unpack to more than 32 MiB', (_name, codec, pack) => {
    const bomb = Buffer.from(pack(Buffer.alloc(33 * MB)) as Uint8Array)
    expect(bomb.length).toBeLessThan(5 * MB)
    expect(whyRefused(codec, bomb)).toMatch(/limit|larger/)
  })

  test('refuses bombs by what they claim, before anything is unpacked', () => {
    const claim = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0, 1, 2])
    expect(whyRefused(SNAPPY, claim)).toMatch(/would unpack to 4294967295 bytes/)
    const block = compressSync(Buffer.alloc(MB)) as Buffer
    const many = Buffer.concat([xerialHeader, ...Array.from({ length: 65 }, () => [int32(block.length), block]).flat()])
    expect(whyRefused(SNAPPY, many)).toMatch(/would unpack to 68157440 bytes/)
  })

  test('refuses xerial blocks whose length would stand still, go back or reach beyond the end', () => {
    for (const length of [0, -4, -5, -(2 ** 31), 2 ** 31 - 1, 1]) {
      expect(whyRefused(SNAPPY, Buffer.concat([xerialHeader, int32(length)])), String(length)).toBe(
        `block of ${length} bytes`,
      )
    }
  })

  test('refuses lz4 frames of another kind or without an end', () => {
    const frame = compressFrameSync(Buffer.from('plumbline'.repeat(100)))
    const legacy = Buffer.from(frame)
    legacy.writeUInt32LE(0x184c2102)
    expect(whyRefused(LZ4, legacy)).toBe('not an LZ4 frame')
    for (let length = 0; length < frame.length; length += 1)
      expect(whyRefused(LZ4, frame.subarray(0, length)), `${length} bytes`).not.toBe('accepted')
  })

  test('ends in bytes or in CORRUPT_BATCH on arbitrary bytes', () => {
    const lead = fc.constantFrom<number[]>(
      [],
      [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82],
      [...xerialHeader],
      [0x1f, 0x8b, 8],
      [0x28, 0xb5, 0x2f, 0xfd],
    )
    check(
      fc.property(fc.integer({ min: 0, max: 7 }), lead, fc.uint8Array({ maxLength: 60 }), (codec, magic, bytes) => {
        expect(whyRefused(codec, Buffer.from([...magic, ...bytes]))).toBeTypeOf('string')
      }),
      1_000,
    )
  })
})
