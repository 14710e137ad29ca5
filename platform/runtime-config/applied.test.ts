import { describe, expect, test } from 'vitest'
import { appliedBy } from './applied.ts'

const member = (node_id: string, version: number) => ({ node_id, kind: 'stream-jobs', version, refused: null })

describe('who has applied a version', () => {
  test('security 6: a member with settings of a version that the topic does not have is reported, not counted as applied', () => {
    const forged = member('c', 2 ** 53 - 1)
    const { applied, pending } = appliedBy([member('a', 4), member('b', 3), forged, member('d', 5)], 4, 5)
    expect(applied.map(({ node_id }) => node_id)).toEqual(['a', 'd'])
    expect(pending.map(({ node_id }) => node_id)).toEqual(['b', 'c'])
    expect(pending[0].refused).toBeNull()
    expect(pending[1].refused).toBe(
      'it reports version 9007199254740991, but the newest acceptable one in the topic config is 5: its settings come from another writer',
    )
  })

  test('MI-5: a version that was just written counts before it was read back', () => {
    expect(appliedBy([member('a', 6)], 6, 5).pending).toEqual([])
  })
})
