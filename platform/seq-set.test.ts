import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { SeqSet, sizeOf } from './seq-set.ts'

const numbers = fc.array(fc.nat(60), { maxLength: 80 })
const setOf = (values: readonly number[]): SeqSet => {
  const set = new SeqSet()
  for (const value of values) set.add(value)
  return set
}
const expand = (ranges: Iterable<{ from: number; to: number }>): number[] =>
  [...ranges].flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i))
const ascending = (values: Iterable<number>): number[] => [...values].sort((a, b) => a - b)

describe('SeqSet', () => {
  it('holds what a plain set holds, in as few ranges as can be, and knows what was in it already', () => {
    check(
      fc.property(numbers, (values) => {
        const plain = new Set<number>()
        const set = new SeqSet()
        for (const value of values) {
          expect(set.add(value)).toBe(!plain.has(value))
          plain.add(value)
        }
        expect(expand(set)).toEqual(ascending(plain))
        expect(set.size).toBe(plain.size)
        expect(set.last).toBe(Math.max(-1, ...plain))
        expect(set.ranges).toBe([...plain].filter((value) => !plain.has(value - 1)).length)
        for (let value = 0; value <= 61; value += 1) expect(set.has(value)).toBe(plain.has(value))
      }),
    )
  })

  it('subtracts any number of sets, and names what is missing from a range', () => {
    check(
      fc.property(numbers, numbers, numbers, fc.nat(60), fc.nat(60), (a, b, c, from, to) => {
        const rest = setOf(a).minus(setOf(b), setOf(c))
        expect(expand(rest)).toEqual(ascending(new Set(a.filter((value) => !b.includes(value) && !c.includes(value)))))
        expect(sizeOf(rest)).toBe(expand(rest).length)
        const wanted = Array.from({ length: Math.max(0, to - from + 1) }, (_, i) => from + i).filter(
          (value) => !a.includes(value),
        )
        expect(expand(setOf(a).missing(from, to))).toEqual(wanted)
      }),
    )
  })
})
