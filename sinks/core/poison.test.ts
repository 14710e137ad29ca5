import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { reading } from '../../platform/store/contract-rows.ts'
import { check } from '../../test/fixtures/property.ts'
import type { Slice, Unit } from './batch.ts'
import { PoisonSearch } from './poison.ts'

const unit = (rows: number): Unit => ({
  lane: {
    topic: 't',
    partition: 0,
    stored: 0,
    position: 0,
    throughMs: null,
    marks: [],
    active: true,
    started: true,
    busy: true,
    savedMs: 0,
  },
  batch: { topic: 't', partition: 0, views: [], nextOffset: rows, endOffset: rows },
  readings: Array.from({ length: rows }, (_, ts) => reading({ ts })),
  anomalies: [],
  versions: new Float64Array(rows),
  arrivals: new Float64Array(rows),
  offsets: Float64Array.from({ length: rows }, (_, i) => i),
  nextOffset: rows,
})

const namesOf = (slices: readonly Slice[], units: readonly Unit[]): string[] =>
  slices.flatMap(({ unit: of, from, to }) =>
    Array.from({ length: to - from }, (_, i) => `${units.indexOf(of)} ${from + i}`),
  )

describe('X-3: search for poison', () => {
  it('finds all and only the rows that the store refuses, stores all others, and tries no more than it says', () => {
    const units = fc.array(fc.array(fc.boolean(), { maxLength: 60 }), { minLength: 1, maxLength: 4 })
    check(
      fc.property(units, (refusals) => {
        const made = refusals.map((rows) => unit(rows.length))
        const all = made.map((of) => ({ unit: of, from: 0, to: of.readings.length }))
        const names = namesOf(all, made)
        const poison = new Set(refusals.flatMap((rows, u) => rows.flatMap((bad, i) => (bad ? [`${u} ${i}`] : []))))
        fc.pre(poison.size > 0)
        const search = new PoisonSearch(all)
        const stored: string[] = []
        let tries = 0
        for (let part = search.next; part !== null; part = search.next) {
          tries += 1
          const tried = namesOf(part, made)
          if (tried.some((name) => poison.has(name))) search.refused('bad')
          else {
            stored.push(...tried)
            search.passed()
          }
        }
        const found = search.found.map(({ unit: of, row }) => `${made.indexOf(of)} ${row}`)
        expect(found).toEqual(names.filter((name) => poison.has(name)))
        expect(stored).toEqual(names.filter((name) => !poison.has(name)))
        expect(tries).toBeLessThanOrEqual(1 + poison.size * 2 * Math.ceil(Math.log2(names.length)))
      }),
    )
  })
})
