import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { Fingerprint, type RowIdentity } from './fingerprint.ts'

const METRICS = ['power_w', 'voltage_v', 'energy_wh']
type Row = RowIdentity & { readonly labels: number; readonly cells: Readonly<Record<string, number | null>> }

const value = fc.option(fc.double({ noNaN: true }))
const row: fc.Arbitrary<Row> = fc.record({
  ts: fc.integer({ min: -1e12, max: 4e12 }),
  epoch: fc.nat(2 ** 31),
  seq: fc.nat(2 ** 31),
  labels: fc.maxSafeInteger().map((value) => value | 0),
  cells: fc.record({ power_w: value, voltage_v: value, energy_wh: value }),
})
const of = (rows: readonly Row[]): Fingerprint => {
  const sum = new Fingerprint()
  for (const { cells, labels, ...identity } of rows) sum.add(identity, labels, cells, METRICS)
  return sum
}
const one: Row = { ts: 1_000, epoch: 7, seq: 3, labels: 9, cells: { power_w: 1, voltage_v: null, energy_wh: 5 } }

describe('faults 3: a fingerprint of rows', () => {
  it('does not depend on the order of rows or metrics', () => {
    check(
      fc.property(fc.array(row, { maxLength: 20 }), (rows) => {
        const backwards = new Fingerprint()
        for (const { cells, labels, ...identity } of [...rows].reverse())
          backwards.add(identity, labels, cells, [...METRICS].reverse())
        expect(backwards.equals(of(rows))).toBe(true)
        expect(String(backwards)).toBe(String(of(rows)))
      }),
    )
  })

  it('is as before when a row is added and taken out', () => {
    check(
      fc.property(fc.array(row, { maxLength: 10 }), row, (rows, extra) => {
        const sum = of([...rows, extra])
        sum.remove(extra, extra.labels, extra.cells, METRICS)
        expect(sum.equals(of(rows))).toBe(true)
      }),
    )
  })

  it.each<[string, Row]>([
    ['a millisecond', { ...one, ts: 1_001 }],
    ['a value', { ...one, cells: { ...one.cells, power_w: 1.0000000000000002 } }],
    ['a value that is gone', { ...one, cells: { ...one.cells, power_w: null } }],
    ['a value that moved to another metric', { ...one, cells: { power_w: null, voltage_v: 1, energy_wh: 5 } }],
    ['two values that changed places', { ...one, cells: { power_w: 5, voltage_v: null, energy_wh: 1 } }],
    ['other labels', { ...one, labels: 10 }],
    ['another epoch', { ...one, epoch: 8 }],
    ['another seq', { ...one, seq: 4 }],
    ['epoch and seq exchanged', { ...one, epoch: 3, seq: 7 }],
  ])('tells rows apart by %s', (_what, other) => {
    expect(of([other]).equals(of([one]))).toBe(false)
    expect(String(of([other]))).not.toBe(String(of([one])))
  })

  it('two rows that exchanged their values are not the same two rows', () => {
    const at = (ts: number, power_w: number): Row => ({ ts, epoch: 1, seq: ts, labels: 0, cells: { power_w } })
    expect(of([at(1, 5), at(2, 6)]).equals(of([at(1, 6), at(2, 5)]))).toBe(false)
  })

  it('does not tell apart what no store must: the sign of zero, and numbers that are next to nothing', () => {
    const zero = (power_w: number): Row => ({ ...one, cells: { power_w } })
    expect(of([zero(-0)]).equals(of([zero(0)]))).toBe(true)
    expect(of([zero(5e-324)]).equals(of([zero(0)]))).toBe(true)
  })

  it('counts rows: the empty one and one without metrics differ', () => {
    expect(of([{ ...one, cells: {} }]).rows).toBe(1)
    expect(of([{ ...one, cells: {} }]).equals(of([]))).toBe(false)
    expect(String(of([]))).toBe('0'.repeat(16))
  })
})
