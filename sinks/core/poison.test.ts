import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { anomaly, reading } from '../../platform/store/contract-rows.ts'
import type { RefusedRow } from '../../platform/store/store-errors.ts'
import { check } from '../../test/fixtures/property.ts'
import { type Slice, type DecodedBatch, rowCount } from './write-batch.ts'
import { PoisonSearch } from './poison.ts'
import { SinkPartition } from './sink-partition.ts'

const decoded = (rows: number): DecodedBatch => ({
  partition: new SinkPartition({ topic: 't', partition: 0 }),
  batch: { topic: 't', partition: 0, batches: [], nextOffset: rows, endOffset: rows },
  readings: Array.from({ length: rows }, (_, ts) => reading({ ts })),
  anomalies: [],
  versions: new Float64Array(rows),
  arrivals: new Float64Array(rows),
  offsets: Float64Array.from({ length: rows }, (_, i) => i),
  nextOffset: rows,
})

const anomalyUnit = (rows: number): DecodedBatch => ({
  ...decoded(rows),
  readings: [],
  anomalies: Array.from({ length: rows }, (_, ts) => anomaly({ ts })),
})

const namesOf = (slices: readonly Slice[], batches: readonly DecodedBatch[]): string[] =>
  slices.flatMap(({ decoded: of, from, to }) =>
    Array.from({ length: to - from }, (_, i) => `${batches.indexOf(of)} ${from + i}`),
  )

/** Runs a search to its end. @param refusedBy told of each part's names; null: the store takes it */
function run(
  batches: readonly DecodedBatch[],
  refusedBy: (tried: readonly string[]) => readonly RefusedRow[] | null,
): { found: string[]; stored: string[]; tries: number; all: string[] } {
  const slices = batches.map((of) => ({ decoded: of, from: 0, to: rowCount(of) }))
  const search = new PoisonSearch(slices)
  const stored: string[] = []
  let tries = 0
  for (let part = search.next; part !== null; part = search.next) {
    tries += 1
    const tried = namesOf(part, batches)
    const named = refusedBy(tried)
    if (named !== null) search.refused(part, 'bad', named)
    else {
      stored.push(...tried)
      search.passed()
    }
  }
  const found = search.found.map(({ decoded: of, row }) => `${batches.indexOf(of)} ${row}`)
  return { found, stored, tries, all: namesOf(slices, batches) }
}

const badUnits = fc
  .array(fc.array(fc.boolean(), { maxLength: 60 }), { minLength: 1, maxLength: 4 })
  .filter((batches) => batches.some((rows) => rows.includes(true)))
const poisonOf = (batches: readonly (readonly boolean[])[]): Set<string> =>
  new Set(batches.flatMap((rows, u) => rows.flatMap((bad, i) => (bad ? [`${u} ${i}`] : []))))

describe('X-3: search for poison', () => {
  it('finds all and only the rows that the store refuses, stores all others, and tries no more than it says', () => {
    check(
      fc.property(badUnits, (refusals) => {
        const poison = poisonOf(refusals)
        const refusedBy = (tried: readonly string[]): readonly RefusedRow[] | null =>
          tried.some((name) => poison.has(name)) ? [] : null
        const { found, stored, tries, all } = run(
          refusals.map((rows) => decoded(rows.length)),
          refusedBy,
        )
        expect(found).toEqual(all.filter((name) => poison.has(name)))
        expect(stored).toEqual(all.filter((name) => !poison.has(name)))
        expect(tries).toBeLessThanOrEqual(1 + poison.size * 2 * Math.ceil(Math.log2(all.length)))
      }),
    )
  })

  it('needs two writes where the store names the rows, and survives one that names wrong ones or only some', () => {
    const naming = fc.constantFrom('all', 'some', 'wrong')
    check(
      fc.property(badUnits, fc.integer({ min: 0, max: 3 }), naming, (refusals, anomalies, names) => {
        const poison = poisonOf(refusals)
        const batches = refusals.map((rows, u) => (u < anomalies ? anomalyUnit(rows.length) : decoded(rows.length)))
        const refusedBy = (tried: readonly string[]): readonly RefusedRow[] | null => {
          const named: RefusedRow[] = []
          const counts = { reading: 0, anomaly: 0 }
          for (const name of tried) {
            const kind = Number(name.split(' ')[0]) < anomalies ? 'anomaly' : 'reading'
            if (poison.has(name)) named.push({ kind, index: counts[kind], reason: name })
            counts[kind] += 1
          }
          if (named.length === 0) return null
          if (names === 'wrong') return [{ kind: 'reading', index: 1_000, reason: 'elsewhere' }]
          return names === 'some' ? named.slice(0, 1) : named
        }
        const { found, stored, tries, all } = run(batches, refusedBy)
        expect(found.sort()).toEqual([...poison].sort())
        expect(stored.sort()).toEqual(all.filter((name) => !poison.has(name)).sort())
        if (names === 'all') expect(tries).toBeLessThanOrEqual(2)
        if (names === 'some') expect(tries).toBeLessThanOrEqual(1 + poison.size)
      }),
    )
  })
})
