// What is left of an epoch that refine has forgotten: no number of it, but the time up to which its sensor was emitted.
import { expect, test } from 'vitest'
import { readingAt, START_MS, tickRecord } from './arrivals.test-support.ts'
import { numbered, started } from './started.test-support.ts'

const NEWER = 9

test('W4: a repeat from an epoch that is forgotten goes to late, whether it was next or had its gap abandoned', () => {
  const { give, out, core } = started()
  const first = numbered(0, { epoch: 1, ts: START_MS - 90_000 })
  const second = numbered(1, { epoch: 1, ts: START_MS - 89_000 })
  give(0, first, second)
  for (let i = 1; i <= NEWER; i += 1) give(i, numbered(0, { epoch: 1 + i, ts: START_MS - 80_000 + i }))
  give(100, second, first)
  give(10_000, tickRecord)
  const identities = out.of('clean').map(({ payload }) => {
    const { epoch, seq } = readingAt(payload)
    return `${epoch}:${seq}`
  })
  expect(new Set(identities).size).toBe(identities.length)
  expect(identities).toHaveLength(2 + NEWER)
  expect(out.of('late').map(({ detail }) => detail)).toEqual(['regressed', 'regressed'])
  expect(core.ledger).toMatchObject({ duplicate: 0, buffered: 0 })
})
