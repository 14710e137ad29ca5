// Labels computed in place equal those of the texts, whatever order tags are written in.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { check } from '../../test/fixtures/property.ts'
import { type Labels, labelsIn, labelsOf } from './labels.ts'
import { readingOf } from '../../test/fixtures/load.ts'
import { encodeFramed, FRAME_BYTES, type Reading, readingType } from './reading.ts'
import { planOrNull } from './reading-decoder.ts'
import { ReadingScanner } from './reading-scanner.ts'

const plan = planOrNull(JSON.stringify(readingType.schema({ exportAttrs: true })))!
const scanned = ({ site, node, tags }: Labels): number => {
  const scanner = new ReadingScanner()
  const reading = { ...readingOf('s', 1, 0, 1), site_id: site, node_id: node, tags } as Reading
  const bytes = encodeFramed(readingType, 1, reading)
  expect(scanner.scan(plan, bytes, FRAME_BYTES, bytes.length)).toBe(true)
  return labelsIn(scanner, bytes)
}
const text = fc.string({ unit: 'grapheme', maxLength: 12 })
const labels = fc.record({ site: text, node: text, tags: fc.dictionary(text, text, { maxKeys: 20 }) })
const one: Labels = { site: 's', node: 'n', tags: { a: 'x', b: 'y' } }

describe('faults 3: labels of a reading', () => {
  it('are the same from bytes and from texts, in any order of tags', () => {
    check(
      fc.property(labels, (some) => {
        const backwards = Object.fromEntries(Object.entries(some.tags).reverse())
        expect(scanned(some)).toBe(labelsOf(some))
        expect(scanned({ ...some, tags: backwards })).toBe(labelsOf(some))
      }),
    )
  })

  it.each<[string, Labels]>([
    ['site', { ...one, site: 't' }],
    ['node', { ...one, node: 'm' }],
    ['site and node exchanged', { ...one, site: 'n', node: 's' }],
    ['a tag that is gone', { ...one, tags: { a: 'x' } }],
    ['a tag with another value', { ...one, tags: { a: 'x', b: 'z' } }],
    ['two tags that exchanged their values', { ...one, tags: { a: 'y', b: 'x' } }],
    ['name and value of a tag exchanged', { ...one, tags: { x: 'a', b: 'y' } }],
  ])('tell readings apart by %s', (_what, other) => {
    expect(labelsOf(other)).not.toBe(labelsOf(one))
  })
})
