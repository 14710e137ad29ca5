// What refine does not take on trust: the partition of a key, a number that was given out twice, a clock that is ahead,
// a time that cannot be, settings that nobody configured.
import { describe, expect, test } from 'vitest'
import { sensorKey } from '../../../platform/codec/identity.ts'
import { type TestRecord, recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { partitionOf } from '../../../platform/kafka/partitioner.ts'
import { REPLAY_AS_HEADER } from '../../../schemas/refine.ts'
import { feed, PARTITION, readingAt, recordOf, SETTINGS, settingsRecord, START_MS } from './arrivals.test-support.ts'
import { controlHeaders } from './control.ts'
import { numbered, plain, started } from './started.test-support.ts'

const PARTITIONS = 6
const home = (sensor: string): number => {
  const key = Buffer.from(sensorKey('t', sensor))
  return partitionOf(key, 0, key.length, PARTITIONS)
}
const sensors = Array.from({ length: 40 }, (_, i) => `s${i}`)
const details = ({ out }: ReturnType<typeof started>): string[] => out.of('dead letters').map(({ detail }) => detail)

describe('K3: a reading in a partition to which its key does not belong', () => {
  test('is a dead letter that names both partitions and the setting; all others pass', () => {
    const run = started({ partitions: PARTITIONS })
    run.give(0, ...sensors.map((sensor_id) => recordOf({ sensor_id, epoch: 1, seq: 0 })))
    const own = sensors.filter((sensor) => home(sensor) === PARTITION)
    expect(own.length).toBeGreaterThan(0)
    expect(run.out.of('clean').map(({ sensor }) => sensor)).toEqual(own)
    const foreign = sensors.filter((sensor) => home(sensor) !== PARTITION)
    expect(details(run)).toHaveLength(foreign.length)
    details(run).forEach((detail, i) => {
      expect(detail).toMatch(/^WRONG_PARTITION: the record is in partition 0; /)
      expect(detail).toContain(`partition ${home(foreign[i])} of 6`)
      expect(detail).toContain('partitioner=murmur2_random')
    })
    expect([...run.core.sensors.keys()]).toEqual(own.map((sensor) => `t/${sensor}`))
  })

  test('stays one when it is replayed as late into the same partition', () => {
    const run = started({ partitions: PARTITIONS })
    const [stray] = sensors.filter((sensor) => home(sensor) !== PARTITION)
    run.give(0, { ...recordOf({ sensor_id: stray }), headers: [{ key: REPLAY_AS_HEADER, value: 'late' }] })
    expect(run.deadLetters()).toEqual(['WRONG_PARTITION'])
  })

  test('passes up to the record that says how many partitions there are, and from the next one that says more', () => {
    const run = started({ partitions: 0 })
    const [stray] = sensors.filter((sensor) => home(sensor) !== PARTITION)
    const reading = (seq: number): TestRecord => recordOf({ sensor_id: stray, epoch: 1, seq, ts: START_MS + seq })
    run.give(0, reading(0), settingsRecord({ ...SETTINGS, partitions: PARTITIONS }), reading(1))
    run.give(1, settingsRecord({ ...SETTINGS, partitions: 1 }), reading(1))
    expect(run.seqs('clean')).toEqual([0, 1])
    expect(run.deadLetters()).toEqual(['WRONG_PARTITION'])
  })
})

describe('faults 1: a sequence number whose place is taken by other bytes', () => {
  test.each([
    ['is a conflict', 0, 1],
    ['is a conflict while the other one waits', 5, 1],
  ])('%s', (_, seq, conflicts) => {
    const run = started()
    run.give(0, numbered(seq, { power_w: 1 }), numbered(seq, { power_w: 1 }), numbered(seq, { power_w: 2 }))
    expect(run.core.ledger).toMatchObject({ consumed: 3, duplicate: 1, conflict: conflicts, deadLettered: 0 })
    expect(run.deadLetters()).toEqual(['CONFLICT'])
    expect(details(run)[0]).toContain(`seq ${seq} of epoch 1`)
  })

  test('is a conflict for the last 64 numbers; older ones count as duplicates', () => {
    const run = started()
    const count = 200
    for (let seq = 0; seq < count; seq += 1) run.give(seq, numbered(seq, { power_w: seq }))
    for (let seq = 0; seq < count; seq += 1) run.give(count, numbered(seq, { power_w: seq }))
    expect(run.core.ledger).toMatchObject({ duplicate: count, conflict: 0 })
    for (let seq = 0; seq < count; seq += 1) run.give(count, numbered(seq, { power_w: -1 }))
    expect(run.core.ledger).toMatchObject({ duplicate: 2 * count - 64, conflict: 64, emitted: count })
  })

  test('is judged for late readings, and not where the place was abandoned or a dead letter took it', () => {
    const run = started()
    run.give(0, numbered(0), numbered(1, { humidity_pct: 101 }), numbered(3))
    run.give(5_000, numbered(2, { power_w: 1 }), numbered(2, { power_w: 1 }), numbered(2, { power_w: 2 }))
    run.give(5_001, numbered(1, { power_w: 5 }))
    expect(run.seqs('late')).toEqual([2])
    expect(run.core.ledger).toMatchObject({ duplicate: 2, conflict: 1, deadLettered: 1, late: 1 })
  })
})

describe('K8: readings of one event time', () => {
  test('faults 8: A, B, A without numbers ends as A: each change goes to late, repeats of the latest do not', () => {
    const run = started()
    const a = plain(100, { power_w: 1 })
    const b = plain(100, { power_w: 2 })
    run.give(0, a)
    run.give(2_000, b, b, a, a)
    expect(run.out.of('late').map(({ payload }) => readingAt(payload).power_w)).toEqual([2, 1])
    expect(run.core.ledger).toMatchObject({ emitted: 1, correction: 2, duplicate: 2 })
  })

  test('with different metrics are both forwarded, waiting or gone', () => {
    const run = started()
    run.give(0, plain(100, { temperature_c: 1 }), plain(100, { humidity_pct: 2 }))
    run.give(2_000, plain(100, { power_w: 3 }))
    expect(run.core.ledger).toMatchObject({ emitted: 1, correction: 2, duplicate: 0 })
  })

  test('below the last one are remembered, too: a repeat of what was late is a duplicate', () => {
    const run = started()
    run.give(0, plain(100))
    run.give(2_000, plain(50), plain(50), plain(50, { power_w: 9 }))
    expect(run.out.of('late').map(({ detail }) => detail)).toEqual(['late', 'correction'])
    expect(run.core.ledger.duplicate).toBe(1)
  })
})

describe('K8: a reading further ahead than its sensor has been', () => {
  const at = (ahead: number, seq: number): TestRecord => numbered(seq, { ts: START_MS + ahead })
  const lates = (run: ReturnType<typeof started>): string[] => run.out.of('late').map(({ detail }) => detail)

  test('goes to late and does not make the good ones late', () => {
    const run = started()
    run.give(0, at(0, 0), at(240_000, 1))
    run.give(1_000, at(1_000, 2))
    run.give(2_000, at(2_000, 3))
    expect(run.seqs('clean')).toEqual([0, 2, 3])
    expect(lates(run)).toEqual(['ahead'])
    expect(run.core.ledger).toMatchObject({ late: 1, ahead: 1, regressed: 0 })
  })

  test('without a number alike, and it holds back nobody', () => {
    const run = started()
    const of = (ahead: number): TestRecord => recordOf({ ts: START_MS + ahead })
    run.give(0, of(0), of(240_000), of(240_000))
    run.give(1_000, of(1_000))
    run.give(3_000, of(2_999))
    expect(run.out.of('clean').map(({ ts }) => ts - START_MS)).toEqual([0, 1_000])
    expect(run.core.ledger).toMatchObject({ ahead: 1, duplicate: 1, buffered: 1 })
  })

  test('is believed when three in a row agree: then the clock was set', () => {
    const run = started()
    run.give(0, at(0, 0))
    for (let seq = 1; seq <= 4; seq += 1) run.give(seq * 1_000, at(60_000 + seq * 1_000, seq))
    expect(run.seqs('late')).toEqual([1, 2])
    expect(run.seqs('clean')).toEqual([0, 3, 4])
  })

  test('is not believed when a good one comes between', () => {
    const run = started()
    for (let seq = 0; seq < 12; seq += 1) run.give(seq * 100, at(seq * 100 + (seq % 3 === 0 ? 0 : 60_000 + seq), seq))
    expect(run.seqs('clean')).toEqual([0, 3, 6, 9])
    expect(run.core.ledger).toMatchObject({ ahead: 8, regressed: 0 })
  })

  test('passes within the tolerance, and from a sensor that has always been ahead, also in bursts', () => {
    const run = started()
    run.give(0, at(5_000, 0))
    expect(run.seqs('clean')).toEqual([0])
    const ahead = started()
    for (let burst = 0; burst < 5; burst += 1) {
      const seqs = Array.from({ length: 10 }, (_, i) => burst * 10 + i)
      ahead.give(burst * 100_000, ...seqs.map((seq) => at(60_000 + (seq - 9) * 10_000, seq)))
    }
    // Of the first burst some are doubted, until three agree; after that the sensor is known.
    expect(ahead.core.ledger).toMatchObject({ ahead: 4, emitted: 46 })
  })

  test('X-2: waits for its turn like any other: what counts is when it came', () => {
    const run = started()
    run.give(0, at(0, 0), at(4_000, 2))
    run.give(2_500, at(1, 3))
    expect(run.seqs('clean')).toEqual([0, 2])
    expect(run.core.ledger).toMatchObject({ ahead: 0, regressed: 1 })
  })
})

describe('K7: a time before the earliest', () => {
  test.each([
    [1_664_384_623, /1970-01-20.*earliest is 2000-01-01.*as seconds it would be acceptable/],
    [0, /1970-01-01T00:00:00.000Z\); the earliest is 2000-01-01T00:00:00.000Z$/],
    [-1, /1969-12-31/],
    [Date.UTC(2000) - 1, /1999-12-31/],
  ])('is a dead letter: %d', (ts, message) => {
    const run = started()
    run.give(0, numbered(0, { ts }), numbered(1))
    expect(run.deadLetters()).toEqual(['PAST_TIME'])
    expect(details(run)[0]).toMatch(message)
    expect(run.seqs('clean')).toEqual([1])
  })

  test('is one where the setting says so', () => {
    const run = started({ earliestMs: 0 })
    run.give(0, numbered(0, { ts: 0 }), numbered(1, { ts: Date.UTC(2000) }))
    expect(run.seqs('clean')).toEqual([0, 1])
  })
})

describe('security 6: settings of a version that was never configured', () => {
  const overruled = (settings: typeof SETTINGS, overrules: number): TestRecord => ({
    key: null,
    value: null,
    headers: controlHeaders({ kind: 'settings', settings, overrules }),
  })

  test('give way to those that name them, and to no others of a lower version', () => {
    const { core, give } = started()
    const forged = Number.MAX_SAFE_INTEGER
    give(0, settingsRecord({ ...SETTINGS, version: forged, z: 1_000 }))
    give(1, settingsRecord({ ...SETTINGS, version: 3, z: 4 }), overruled({ ...SETTINGS, version: 3, z: 4 }, 7))
    expect(core.settings).toMatchObject({ version: forged, z: 1_000 })
    give(2, overruled({ ...SETTINGS, version: 3, z: 4 }, forged))
    expect(core.settings).toMatchObject({ version: 3, z: 4 })
  })

  test('of the same version with other content are replaced by what comes', () => {
    const { core, give } = started()
    give(0, settingsRecord({ ...SETTINGS, version: 3, z: 999 }), settingsRecord({ ...SETTINGS, version: 3, z: 4 }))
    expect(core.settings.z).toBe(4)
  })
})

test('faults 1: memory of contents survives numbers near the end of what a double holds', () => {
  const { core } = started()
  const last = 2 ** 52 - 1
  const batch = (power_w: number) =>
    recordBatchOf([recordOf({ epoch: 1, seq: last, power_w, ts: START_MS })], { appendTime: START_MS })
  feed(core, [
    batch(1),
    recordBatchOf([{ key: null, value: null, headers: controlHeaders({ kind: 'tick' }) }], {
      appendTime: START_MS + 9_000,
    }),
    batch(2),
  ])
  expect(core.ledger).toMatchObject({ emitted: 1, conflict: 1 })
})
