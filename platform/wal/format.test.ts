import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { AckFile, readAck } from './ack.ts'
import { tempDir } from './wal.test-support.ts'
import {
  decodeHeader,
  encodeHeader,
  encodeMark,
  ENTRY_HEADER_BYTES,
  keyAt,
  keyLength,
  OWN,
  OWN_PREFIX_BYTES,
  scanEntries,
  sealEntry,
} from './format.ts'

function entry(key: string, value: Uint8Array): Buffer {
  const bytes = Buffer.alloc(ENTRY_HEADER_BYTES + OWN_PREFIX_BYTES + Buffer.byteLength(key) + value.length)
  bytes[ENTRY_HEADER_BYTES] = OWN
  bytes.writeUInt16LE(Buffer.byteLength(key), ENTRY_HEADER_BYTES + OWN_PREFIX_BYTES - 2)
  bytes.write(key, ENTRY_HEADER_BYTES + OWN_PREFIX_BYTES)
  bytes.set(value, ENTRY_HEADER_BYTES + OWN_PREFIX_BYTES + Buffer.byteLength(key))
  sealEntry(bytes, 0, bytes.length)
  return bytes
}

const entries = fc.array(fc.record({ key: fc.string({ maxLength: 20 }), value: fc.uint8Array({ maxLength: 60 }) }), {
  minLength: 1,
  maxLength: 12,
})

/** Keys found by a scan. */
function keysIn(bytes: Buffer): { keys: string[]; tail: string; end: number } {
  const keys: string[] = []
  const { tail, end } = scanEntries(bytes, 0, 0, (at) =>
    keys.push(bytes.toString('utf8', keyAt(bytes, at), keyAt(bytes, at) + keyLength(bytes, at))),
  )
  return { keys, tail, end }
}

describe('the entries of a segment (MI-2)', () => {
  test('a tail cut at any byte leaves a prefix of the entries', () => {
    check(
      fc.property(entries, fc.nat(), (list, cut) => {
        const parts = list.map(({ key, value }) => entry(key, value))
        const bytes = Buffer.concat(parts)
        const kept = bytes.subarray(0, cut % (bytes.length + 1))
        let whole = 0
        for (let size = 0; whole < parts.length && size + parts[whole].length <= kept.length; whole += 1)
          size += parts[whole].length
        const found = keysIn(kept)
        expect(found.keys).toEqual(list.slice(0, whole).map(({ key }) => Buffer.from(key).toString()))
        expect(found.tail).toBe(found.end === kept.length ? 'clean' : 'torn')
      }),
    )
  })

  test('a flipped bit anywhere is detected: no entry from it on is taken', () => {
    check(
      fc.property(entries, fc.nat(), fc.integer({ min: 0, max: 7 }), (list, where, bit) => {
        const parts = list.map(({ key, value }) => entry(key, value))
        const bytes = Buffer.concat(parts)
        const place = where % bytes.length
        bytes[place] ^= 1 << bit
        let damaged = 0
        for (let end = parts[0].length; end <= place; end += parts[damaged].length) damaged += 1
        expect(keysIn(bytes).keys).toEqual(list.slice(0, damaged).map(({ key }) => Buffer.from(key).toString()))
      }),
    )
  })

  test('damage in front of a sync mark that vouches for it is corrupt, after the mark it is a torn tail', () => {
    const first = entry('a', Buffer.from('one'))
    const second = entry('b', Buffer.from('two'))
    const bytes = Buffer.concat([first, encodeMark(first.length), second])
    const front = Buffer.from(bytes)
    front[first.length - 1] ^= 1
    expect(keysIn(front).tail).toBe('corrupt')
    const behind = Buffer.from(bytes)
    behind[bytes.length - 1] ^= 1
    expect(keysIn(behind)).toMatchObject({ keys: ['a'], tail: 'torn' })
  })

  test('a tail of zeros, as file systems leave them after a power cut, is torn', () => {
    expect(keysIn(Buffer.concat([entry('a', Buffer.from('x')), Buffer.alloc(100)]))).toMatchObject({
      keys: ['a'],
      tail: 'torn',
    })
  })
})

describe('the header of a segment', () => {
  const header = {
    nodeId: 'node-ä',
    epoch: 1_800_000_000,
    baseIndex: 2 ** 40,
    lastTs: 1_900_000_000_123,
    lanes: [
      { key: 'acme/über-1', epoch: 1_800_000_000, own: true, count: 12, lastSeq: 11 },
      { key: 'acme/x', epoch: 7, own: false, count: 3, lastSeq: 900 },
    ],
  }

  test('comes back as it was', () => {
    const bytes = encodeHeader(header)
    expect(decodeHeader(bytes, 'f')).toEqual({ ...header, end: bytes.length })
  })

  test('with any flipped bit is refused', () => {
    const sound = encodeHeader(header)
    for (let place = 0; place < sound.length; place += 1) {
      if (place === 6 || place === 7) continue // unused
      const bytes = Buffer.from(sound)
      bytes[place] ^= 4
      expect(() => decodeHeader(bytes, 'the-file'), `byte ${place}`).toThrow(/the-file/)
    }
  })
})

describe('the acknowledged position', () => {
  test('survives a write that spoils the slot it was made to', () => {
    const dir = tempDir()
    const ack = new AckFile(dir, 0, 300)
    for (const index of [100, 250]) ack.write(index)
    ack.close()
    expect(readAck(dir)).toBe(250)
    const file = join(dir, 'ack')
    const bytes = readFileSync(file)
    bytes[16] ^= 1
    writeFileSync(file, bytes)
    expect(readAck(dir)).toBe(100)
    truncateSync(file, 5)
    expect(readAck(dir)).toBe(0)
  })
})
