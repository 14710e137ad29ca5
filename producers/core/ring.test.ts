import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import type { Chunk } from '../../platform/wal/chunk.ts'
import { Ring } from './ring.ts'

const chunk = (firstIndex: number, count: number, bytes = count): Chunk => ({
  bytes: Buffer.alloc(bytes),
  at: 0,
  firstIndex,
  count,
})

describe('the ring (MI-2)', () => {
  test('is bounded in readings and bytes and gives every reading that it holds, whatever is pushed and released', () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ push: fc.integer({ min: 1, max: 9 }), bytes: fc.integer({ min: 1, max: 200 }) }),
      },
      { weight: 1, arbitrary: fc.record({ release: fc.double({ min: 0, max: 1, noNaN: true }) }) },
    )
    check(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const ring = new Ring(40, 1_000, 100)
        let held: { index: number; chunk: Chunk }[] = []
        let size = 0
        for (const action of steps) {
          if ('push' in action) {
            const next = chunk(ring.end, action.push, action.bytes)
            const fits = ring.end - ring.start + action.push <= 40 && size + action.bytes <= 1_000
            expect(ring.push(next)).toBe(fits)
            if (!fits) continue
            for (let i = 0; i < action.push; i += 1) held.push({ index: next.firstIndex + i, chunk: next })
            size += action.bytes
          } else {
            const to = ring.start + Math.floor((ring.end - ring.start) * action.release)
            ring.release(to)
            held = held.filter(({ index }) => index >= to)
            size = [...new Set(held.map(({ chunk: kept }) => kept))].reduce((sum, { bytes }) => sum + bytes.length, 0)
          }
          expect(ring.fill).toBeLessThanOrEqual(1)
          for (const { index, chunk: expected } of held) expect(ring.chunkAt(index)).toBe(expected)
          expect(ring.chunkAt(ring.start - 1)).toBeUndefined()
          expect(ring.chunkAt(ring.end)).toBeUndefined()
        }
      }),
    )
  })

  test('does not take a chunk that leaves a hole', () => {
    const ring = new Ring(10, 100, 0)
    expect(ring.push(chunk(1, 2))).toBe(false)
    ring.restart(1)
    expect(ring.push(chunk(1, 2))).toBe(true)
    expect(() => ring.restart(9)).toThrow()
  })
})
