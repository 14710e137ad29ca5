import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import type { Reading } from '../codec/reading.ts'
import { reading } from './contract-rows.ts'
import { erasedBy, historyOf, merge, type MergedRow, rowOf, storedRow } from './merge.ts'

const METRICS = ['power_w', 'voltage_v']
type Write = { readonly reading: Reading; readonly version: number }

const write = (version: number, fields: Record<string, unknown>, seq = version): Write => ({
  version,
  reading: reading({ epoch: 1, seq, ...(fields as Partial<Reading>) }),
})
const fold = ([first, ...rest]: readonly Write[]): MergedRow =>
  rest.reduce(
    (row, next) => merge(row, next.reading, next.version, METRICS).row,
    rowOf(first.reading, first.version, METRICS),
  )

const value = fc.option(fc.constantFrom(0, 1, 2))
const erase = fc.subarray(METRICS)
const writes = fc
  .array(fc.record({ power_w: value, voltage_v: value, erase }), { minLength: 1, maxLength: 6 })
  .map((all) => all.map((fields, version) => write(version, fields)))

describe('K8: merging the readings of one (sensor, ts)', () => {
  it('metrics that do not contradict are merged, and that is no correction', () => {
    const row = fold([write(0, { power_w: 1 }), write(1, { voltage_v: 230 })])
    expect(row).toMatchObject({ values: [1, 230], corrected: false, version: 1, first: { seq: 0 } })
  })

  it('a different value corrects, a null erases nothing, and a name in erase does', () => {
    expect(fold([write(0, { power_w: 1, voltage_v: 2 }), write(1, { power_w: 3 })])).toMatchObject({ values: [3, 2], corrected: true }) // prettier-ignore
    expect(fold([write(0, { power_w: 1, voltage_v: 2 }), write(1, { erase: ['power_w'] })])).toMatchObject({ values: [null, 2], corrected: true }) // prettier-ignore
  })

  it('faults 8: of A, B, A the latest wins', () => {
    const [a, b] = [{ power_w: 1 }, { power_w: 2 }]
    expect(fold([write(0, a), write(1, b), write(2, a)])).toMatchObject({ values: [1, null], corrected: true })
  })

  it('an identical repeat changes nothing and joins nothing', () => {
    const row = fold([write(0, { power_w: 1 }), write(3, { voltage_v: 2 })])
    for (const again of [write(0, { power_w: 1 }), write(3, { voltage_v: 2 })]) {
      const repeated = merge(row, again.reading, again.version, METRICS)
      expect(repeated.joined).toBeNull()
      expect(repeated.row).toEqual(row)
    }
  })

  it('whatever the order, each cell is what the latest reading said of it, the first keeps the place, the others join', () => {
    check(
      fc.property(writes, fc.infiniteStream(fc.nat()), (all, dice) => {
        const shuffled = [...all].map((one) => [dice.next().value, one] as const).sort(([a], [b]) => a - b)
        const row = fold(shuffled.map(([, one]) => one))
        METRICS.forEach((name, i) => {
          const said = all
            .filter(({ reading: of }) => of[name] !== null || erasedBy(of).includes(name))
            .map(({ reading: of }) => of[name] as number | null)
          expect(row.values[i]).toBe(said.at(-1) ?? null)
        })
        const contradicts = METRICS.some(
          (name) =>
            new Set(
              all
                .filter(({ reading: of }) => of[name] !== null || erasedBy(of).includes(name))
                .map(({ reading: of }) => of[name]),
            ).size > 1,
        )
        expect(row.corrected).toBe(contradicts)
        expect([row.first.seq, row.version]).toEqual([0, all.length - 1])
        expect(row.joined.map(({ seq }) => seq)).toEqual(all.slice(1).map(({ version }) => version).reverse()) // prettier-ignore
      }),
    )
  })

  it('comes back from the store as it was', () => {
    check(
      fc.property(writes, (all) => {
        const row = fold(all)
        const history = historyOf(row, METRICS)
        const { first, version, values } = row
        expect(storedRow({ ...first, version }, values, history, METRICS)).toEqual(row)
        if (all.length === 1 && erasedBy(all[0].reading).every((name) => all[0].reading[name] !== null))
          expect(history).toBeNull()
      }),
    )
  })
})
