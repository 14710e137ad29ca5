import { describe, expect, test } from 'vitest'
import { adviceFor, type PartitionFacts, type PartitionState, rowOf } from './report.ts'

const at = (committed: number | null, end: number, start = 0): PartitionFacts => ({
  partition: 3,
  start,
  committed,
  end,
})

describe('security 2: a partition of raw', () => {
  test.each<[PartitionState, PartitionFacts, PartitionFacts, number]>([
    ['current', at(9, 9), at(9, 9), 0],
    ['current', at(null, 0), at(null, 0), 0],
    ['moving', at(5, 9), at(7, 9), 2],
    ['moving', at(9, 9), at(9, 12), 3],
    ['stuck', at(5, 9), at(5, 9), 4],
    ['stuck', at(5, 9), at(5, 90), 85],
    ['lost', at(5, 9), at(5, 9, 7), 4],
    ['not begun', at(null, 9), at(null, 9), 9],
  ])('is %s', (state, before, later, lag) => {
    expect(rowOf(before, later)).toMatchObject({ state, lag })
  })

  test('that is stuck is named with its offset and what the process says', () => {
    expect(adviceFor([rowOf(at(5, 9), at(5, 9))], ['progress: telemetry.raw/3 stands at 5 of 9'])).toEqual([
      'stuck: 3 (at 5); see the log of stream-jobs for the offset and the reason',
      'stream jobs say: progress: telemetry.raw/3 stands at 5 of 9',
    ])
    expect(adviceFor([rowOf(at(9, 9), at(9, 9))], [])).toEqual([])
  })
})
