import { describe, expect, test } from 'vitest'
import { adviceFor, type PartitionFacts, type PartitionState, rowOf } from './report.ts'

const at = (committed: number | null, end: number, start = 0): PartitionFacts => ({
  partition: 3,
  start,
  committed,
  needed: committed,
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

  test('whose records since the last snapshot are gone is lost, although nothing of it is unread', () => {
    const replay = { ...at(9, 9, 7), needed: 5 }
    const row = rowOf(replay, replay)
    expect(row.state).toBe('lost')
    expect(adviceFor('telemetry.raw', [row], [])).toEqual([
      'telemetry.raw/3: offsets 5 to 6 were removed, which refine needs to restore its state; to continue without them: plumbline partitions accept-loss telemetry.raw 3',
    ])
  })

  test('that has lost records is named with their offsets and the command that continues', () => {
    expect(adviceFor('telemetry.raw', [rowOf(at(5, 9), at(5, 9, 7))], [])).toEqual([
      'telemetry.raw/3: offsets 5 to 6 were removed before refine read them; to continue without them: plumbline partitions accept-loss telemetry.raw 3',
    ])
  })

  test('that is stuck is named with its offset and what the process says', () => {
    expect(adviceFor('telemetry.raw', [rowOf(at(5, 9), at(5, 9))], ['order: it has stopped'])).toEqual([
      'telemetry.raw/3 is stuck at offset 5; the log of stream-jobs has the reason',
      'stream jobs say: order: it has stopped',
    ])
    expect(adviceFor('telemetry.raw', [rowOf(at(9, 9), at(9, 9))], [])).toEqual([])
  })

  test('whose owner knows why it is stuck is named with owner, offset, since when, reason and command', () => {
    const help = 'start the registry; if this record alone is the cause: plumbline partitions skip telemetry.raw 3 6'
    const stuck = { offset: 6, since: '2026-01-01T00:00:00.000Z', reason: 'no answer', help }
    const row = rowOf(at(5, 9), at(6, 9), { partition: 3, owner: 'stream-jobs-2', stuck })
    expect(row).toMatchObject({ state: 'stuck', owner: 'stream-jobs-2' })
    expect(adviceFor('telemetry.raw', [row], [])).toEqual([
      `telemetry.raw/3 is stuck at offset 6 since 2026-01-01T00:00:00.000Z: no answer; ${help}`,
    ])
  })
})
