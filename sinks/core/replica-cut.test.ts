// Cutting a file is held to the slow and obvious way: split into lines and keep whole rows below the limit.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { keptLength, placeOf } from './replica-cut.ts'

const HEADER = 'sequence,timestamp\n'

const kept = (bytes: Buffer, limit: number): number =>
  keptLength(bytes.length, (from, to) => bytes.subarray(from, to), limit)

function keptSlowly(bytes: Buffer, limit: number): number {
  const whole = bytes.toString('latin1').split('\n').slice(0, -1)
  let rows = whole.length
  while (rows > 0 && !(placeOf(whole[rows - 1]) < limit)) rows -= 1
  return whole.slice(0, rows).join('\n').length + (rows > 0 ? 1 : 0)
}

const ascending = fc
  .array(fc.record({ step: fc.integer({ min: 1, max: 5_000 }), cell: fc.stringMatching(/^[a-z",.=0-9-]{0,30}$/) }), {
    maxLength: 60,
  })
  .map((rows) => {
    let place = -1
    return rows.map(({ step, cell }) => {
      place += step
      return { place, line: `${place},${cell}\n` }
    })
  })

describe('cutting a file after its last whole row below the checkpoint (DS-4)', () => {
  test('a kill at any byte leaves a file that is cut to exactly the rows below the limit', () => {
    check(
      fc.property(ascending, fc.nat(200_000), fc.nat(), (rows, limit, kill) => {
        const all = Buffer.from(HEADER + rows.map(({ line }) => line).join(''))
        const below = rows.filter(({ place }) => place < limit)
        const sure = below.length === 0 ? 0 : HEADER.length + below.map(({ line }) => line).join('').length
        // What is below the checkpoint is on disk; of the rest any part.
        const torn = all.subarray(0, sure + (kill % (all.length - sure + 1)))
        expect(kept(torn, limit)).toBe(sure)
      }),
      500,
    )
  })

  test('arbitrary bytes are cut as slow and obvious code cuts them', () => {
    const bytes = fc
      .array(fc.constantFrom(...'0123456789,\na'), { maxLength: 80 })
      .map((chars) => Buffer.from(chars.join('')))
    check(
      fc.property(bytes, fc.nat(1_000), (given, limit) => {
        expect(kept(given, limit)).toBe(keptSlowly(given, limit))
      }),
      2_000,
    )
  })

  test('zeros that a power cut leaves after the rows are cut off, and so are rows longer than a window', () => {
    expect(kept(Buffer.concat([Buffer.from(`${HEADER}1,a\n`), Buffer.alloc(5_000)]), 9)).toBe(HEADER.length + 4)
    const long = Buffer.from(`${HEADER}1,${'x'.repeat(70_000)}\n2,${'y'.repeat(140_000)}\n3,z`)
    expect(kept(long, 2)).toBe(HEADER.length + 70_003)
    expect(kept(long, 3)).toBe(long.length - 3)
  })
})
