import { expect, test } from 'vitest'
import type { ReadResult } from './finding.ts'
import { SharedReads } from './shared-reads.ts'

interface Asked {
  readonly params: object
  readonly signal: AbortSignal
  readonly answer: (result: ReadResult) => void
  readonly fail: (error: Error) => void
}

function reads(): { shared: SharedReads; asked: Asked[] } {
  const asked: Asked[] = []
  const shared = new SharedReads({
    read: (_name, params, signal) =>
      new Promise((answer, fail) => {
        asked.push({ params, signal, answer, fail })
        signal.addEventListener('abort', () => fail(new Error('abandoned')))
      }),
    close: () => Promise.resolve(),
  })
  return { shared, asked }
}

const never = new AbortController().signal
const found: ReadResult = { kind: 'found', body: {}, completeness: 1, partitions: [] }
const query = (site: string) => ({ site, window: 60_000, from: 0, to: 60_000 })

test('security 9: equal questions at the same time are one read; others, and later ones, have their own', async () => {
  const { shared, asked } = reads()
  const twenty = Array.from({ length: 20 }, () => shared.read('aggregate', query('a'), never))
  const other = shared.read('aggregate', query('b'), never)
  expect(asked).toHaveLength(2)
  asked[0].answer(found)
  expect(await Promise.all(twenty)).toEqual(Array.from({ length: 20 }, () => found))
  void shared.read('aggregate', query('a'), never)
  expect(asked).toHaveLength(3)
  asked[1].fail(new Error('broken'))
  await expect(other).rejects.toThrow('broken')
})

test('security 9: a shared read ends when the last client has gone, and not before', async () => {
  const { shared, asked } = reads()
  const clients = [new AbortController(), new AbortController()]
  const answers = clients.map(({ signal }) => shared.read('aggregate', query('a'), signal))
  clients[0].abort()
  await expect(answers[0]).rejects.toMatchObject({ code: 'READ_ABANDONED' })
  expect(asked[0].signal.aborted).toBe(false)
  clients[1].abort()
  await expect(answers[1]).rejects.toMatchObject({ code: 'READ_ABANDONED' })
  expect(asked[0].signal.aborted).toBe(true)
  const next = shared.read('aggregate', query('a'), never)
  expect(asked).toHaveLength(2)
  asked[1].answer(found)
  expect(await next).toBe(found)
  await expect(shared.read('aggregate', query('a'), AbortSignal.abort())).rejects.toMatchObject({
    code: 'READ_ABANDONED',
  })
})
