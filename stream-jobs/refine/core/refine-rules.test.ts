// The rules of refine one by one, as examples. What they are together is held by refine.test.ts against an oracle.
import { describe, expect, test } from 'vitest'
import { type TestRecord, recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { REPLAY_AS_HEADER, REPLAY_OF_HEADER } from '../../../schemas/refine.ts'
import {
  encode,
  feed,
  readingAt,
  type Recorder,
  recordOf,
  SETTINGS,
  settingsRecord,
  START_MS,
  tickRecord,
} from './arrivals.test-support.ts'
import type { Score } from './outputs.ts'
import { numbered, plain, started } from './started.test-support.ts'

describe('EM-2: a reading with a seq', () => {
  test('passes at once when it is next, waits when it is early, and is a duplicate when its place is taken', () => {
    const { give, seqs, core } = started()
    give(0, numbered(0), numbered(0), numbered(2), numbered(2))
    expect(seqs('clean')).toEqual([0])
    expect(core.ledger).toMatchObject({ duplicate: 2, buffered: 1 })
    give(1_999, numbered(1))
    expect(seqs('clean')).toEqual([0, 1, 2])
  })

  test('that arrives exactly when the wait is over is late', () => {
    const { give, seqs, core } = started()
    give(0, numbered(0), numbered(2))
    give(2_000, numbered(1))
    expect(seqs('clean')).toEqual([0, 2])
    expect(seqs('late')).toEqual([1])
    expect(core.ledger).toMatchObject({ gapsGivenUp: 1, gapsFilledLate: 1 })
    give(2_001, numbered(1))
    expect(core.ledger.duplicate).toBe(1)
  })

  test('ends the wait of the gap in front when the buffer is full', () => {
    const { give, seqs, core } = started({ gapBuffer: 3 })
    give(0, numbered(2), numbered(5), numbered(7))
    expect(core.ledger.buffered).toBe(3)
    give(1, numbered(9))
    expect(seqs('clean')).toEqual([2])
    expect(core.ledger).toMatchObject({ buffered: 3, gapsGivenUp: 2 })
  })

  test('keeps its place when it is a dead letter: nobody waits for it, and it is no gap', () => {
    const { give, seqs, core, deadLetters } = started()
    give(
      0,
      numbered(0),
      numbered(1, { humidity_pct: 101 }),
      numbered(2),
      numbered(4, { ts: START_MS + 400_000 }),
      numbered(3),
      numbered(4),
      numbered(5),
    )
    expect(seqs('clean')).toEqual([0, 2, 3, 5])
    expect(deadLetters()).toEqual(['METRIC_OUT_OF_BOUNDS', 'FUTURE_TIME'])
    expect(core.ledger).toMatchObject({ duplicate: 1, gapsGivenUp: 0, buffered: 0 })
  })

  test('whose time does not exceed the last one is regressed, also across epochs, and frees what waits for it', () => {
    const { give, seqs, core, out } = started()
    give(
      0,
      numbered(0),
      numbered(1, { ts: START_MS - 60_000 }),
      numbered(2),
      numbered(0, { epoch: 2, ts: START_MS - 60_000 + 200 }),
    )
    expect(seqs('clean')).toEqual([0, 2])
    expect(out.of('late').map(({ detail }) => detail)).toEqual(['regressed', 'regressed'])
    expect(core.ledger).toMatchObject({ late: 2, regressed: 2 })
  })

  test('does not wait longer than its time because another gap opened later', () => {
    const { give, seqs } = started()
    give(0, numbered(5))
    give(1_900, numbered(3))
    give(2_000, tickRecord)
    expect(seqs('clean')).toEqual([3, 5])
  })

  test('of a ninth epoch sends out what the forgotten one held, and is itself what it was', () => {
    const { give, out, core } = started()
    give(0, numbered(1, { epoch: 1, power_w: 11 }))
    for (let epoch = 2; epoch <= 8; epoch += 1) give(epoch, numbered(0, { epoch, ts: START_MS - 90_000 + epoch }))
    give(9, numbered(3, { epoch: 9, power_w: 99, ts: START_MS - 50_000 }))
    give(10, tickRecord)
    expect(core.ledger).toMatchObject({ emitted: 8, buffered: 1, gapsGivenUp: 1 })
    give(5_000, tickRecord)
    expect(out.of('clean').map(({ payload }) => readingAt(payload).epoch)).toEqual([2, 3, 4, 5, 6, 7, 8, 1, 9])
    expect(readingAt(out.of('clean').at(-1)!.payload)).toMatchObject({ seq: 3, power_w: 99, ts: START_MS - 50_000 })
  })
})

describe('EM-2: a reading without a seq', () => {
  test('is held back so that stragglers find their place, then goes with everything before it', () => {
    const { give, out } = started()
    give(0, plain(300))
    give(500, plain(100))
    give(1_999, plain(200), plain(400))
    expect(out.of('clean')).toEqual([])
    give(2_000, tickRecord)
    expect(out.of('clean').map(({ ts }) => ts - START_MS + 60_000)).toEqual([100, 200, 300])
  })

  test('K8: is a duplicate when it repeats the latest of its time, and a correction otherwise, waiting or gone', () => {
    const { give, core, out } = started()
    give(0, plain(100, { power_w: 1 }), plain(100, { power_w: 1 }), plain(100, { power_w: 2 }))
    give(2_000, plain(100, { power_w: 1 }), plain(100, { power_w: 3 }))
    give(2_001, plain(100, { power_w: 3 }))
    expect(core.ledger).toMatchObject({ emitted: 1, duplicate: 2, correction: 3, late: 3 })
    expect(out.of('late').map(({ payload, detail }) => [readingAt(payload).power_w, detail])).toEqual([
      [2, 'correction'],
      [1, 'correction'],
      [3, 'correction'],
    ])
  })

  test('below the last one, and not known, is late', () => {
    const { give, out } = started()
    give(0, plain(100))
    give(2_000, plain(50))
    expect(out.of('late').map(({ detail }) => detail)).toEqual(['late'])
  })

  test('pushes the oldest one out when the buffer is full', () => {
    const { give, out } = started({ holdBackBuffer: 2 })
    give(0, plain(300), plain(100), plain(200))
    expect(out.of('clean').map(({ ts }) => ts - START_MS + 60_000)).toEqual([100])
  })

  test('is remembered for 256 readings; older ones count as late, which loses nothing', () => {
    const { give, core } = started({ holdBackMs: 1 })
    for (let i = 0; i < 257; i += 1) give(i * 10, plain(i))
    give(10_000, plain(1), plain(0))
    expect(core.ledger).toMatchObject({ emitted: 257, late: 1, duplicate: 1 })
  })
})

describe('X-3: what cannot continue becomes a dead letter and the next record is read', () => {
  const good = numbered(0)
  const value = Buffer.from(good.value!)
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const copy = Buffer.from(value)
    change(copy)
    return copy
  }
  test.each<[string, TestRecord]>([
    ['NO_KEY', { key: null, value }],
    ['NO_KEY', { key: Buffer.alloc(0), value }],
    ['NO_VALUE', { key: good.key, value: null }],
    ['NOT_FRAMED', { key: good.key, value: Buffer.alloc(0) }],
    ['NOT_FRAMED', { key: good.key, value: value.subarray(0, 4) }],
    ['NOT_FRAMED', { key: good.key, value: changed((bytes) => (bytes[0] = 1)) }],
    ['UNKNOWN_SCHEMA', { key: good.key, value: changed((bytes) => bytes.writeUInt32BE(2 ** 32 - 1, 1)) }],
    ['UNDECODABLE', { key: good.key, value: value.subarray(0, 5) }],
    ['UNDECODABLE', { key: good.key, value: value.subarray(0, -1) }],
    ['UNDECODABLE', { key: good.key, value: Buffer.concat([value, Buffer.from([0])]) }],
    ['INVALID_IDENTITY', recordOf({ sensor_id: '' })],
    ['INVALID_IDENTITY', recordOf({ tenant_id: 'x'.repeat(257) })],
    ['KEY_MISMATCH', { key: Buffer.from('t/other'), value }],
    ['KEY_MISMATCH', { key: Buffer.from('t/s/'), value }],
    ['KEY_MISMATCH', recordOf({ tenant_id: 'a/b', sensor_id: 'c' })],
    ['INVALID_SEQ', numbered(-1)],
    ['INVALID_SEQ', recordOf({ epoch: -1 })],
    ['FUTURE_TIME', recordOf({ ts: START_MS + 300_001 })],
    ['METRIC_OUT_OF_BOUNDS', recordOf({ power_w: NaN })],
    ['METRIC_OUT_OF_BOUNDS', recordOf({ temperature_c: -274 })],
    ['METRIC_OUT_OF_BOUNDS', recordOf({ energy_wh: Infinity })],
    ['UNKNOWN_CONTROL', { ...good, headers: [{ key: 'plumbline.control', value: 'x' }] }],
  ])('%s', (reason, record) => {
    const { give, seqs, core, deadLetters } = started()
    give(0, record, numbered(0))
    expect(deadLetters()).toEqual([reason])
    expect(seqs('clean')).toEqual([0])
    expect(core.ledger).toMatchObject({ consumed: 2, emitted: 1, deadLettered: 1 })
  })

  test('event time exactly at the limit ahead is accepted', () => {
    const { give, core } = started({ aheadMs: 300_000 })
    give(0, recordOf({ epoch: 1, ts: START_MS + 300_000 }))
    expect(core.ledger.emitted).toBe(1)
  })
})

describe('X-3: a dead letter that is sent again', () => {
  const asLate = (record: TestRecord): TestRecord => ({
    ...record,
    headers: [
      { key: REPLAY_OF_HEADER, value: '0@0' },
      { key: REPLAY_AS_HEADER, value: 'late' },
    ],
  })

  test('whose place in the order is taken goes to late with its bytes, and moves nothing else', () => {
    const { give, seqs, core, out } = started()
    give(0, numbered(0), numbered(1, { temperature_c: -400 }), numbered(2))
    expect(core.ledger).toMatchObject({ emitted: 2, deadLettered: 1 })
    const fixed = numbered(1)
    give(1, asLate(fixed), numbered(3))
    expect(out.of('late').map(({ detail, payload }) => [detail, payload])).toEqual([
      ['replayed', Buffer.from(fixed.value!).toString('hex')],
    ])
    expect(seqs('clean')).toEqual([0, 2, 3])
    expect(core.ledger).toMatchObject({ consumed: 5, emitted: 3, late: 1, correction: 0, duplicate: 0 })
  })

  test('is a dead letter again while it is still unacceptable', () => {
    const { give, deadLetters, core } = started()
    give(0, asLate(numbered(0, { ts: START_MS + 3_600_000 })), asLate(numbered(0, { temperature_c: -400 })))
    expect(deadLetters()).toEqual(['FUTURE_TIME', 'METRIC_OUT_OF_BOUNDS'])
    expect(core.ledger).toMatchObject({ deadLettered: 2, late: 0 })
    expect(core.sensors.size).toBe(0)
  })

  test('and never took a place in the order takes it now, like any other reading', () => {
    const { give, seqs, core } = started()
    give(0, { ...numbered(0), headers: [{ key: REPLAY_OF_HEADER, value: '0@0' }] }, numbered(0))
    expect(seqs('clean')).toEqual([0])
    expect(core.ledger.duplicate).toBe(1)
  })
})

describe('bounds', () => {
  test('a sensor holds at most 2 MiB of early readings, whatever their number', () => {
    const { give, core } = started({ gapBuffer: 65_536 })
    const tags = { note: 'x'.repeat(300_000) }
    let most = 0
    for (let seq = 1; seq < 60; seq += 2) {
      give(seq, numbered(seq, { tags }))
      let bytes = 0
      for (const sensor of core.sensors.values()) bytes += sensor.heldBytes()
      most = Math.max(most, bytes)
    }
    expect(most).toBeGreaterThan(1_500_000)
    expect(most).toBeLessThanOrEqual(2 * 1024 * 1024)
    expect(core.ledger.emitted).toBeGreaterThan(20)
  })

  test('held readings are copies: what came after in the same memory does not change them', () => {
    const { core, out } = started()
    const batch = recordBatchOf([numbered(1, { power_w: 5 })], { appendTime: START_MS })
    feed(core, [batch])
    batch.bytes.fill(0xff)
    feed(core, [recordBatchOf([numbered(0)], { appendTime: START_MS })])
    expect(out.of('clean').map(({ payload }) => readingAt(payload).power_w)).toEqual([null, 5])
  })
})

describe('MI-12: an anomaly', () => {
  const index = METRICS.findIndex(({ name }) => name === 'power_w')
  const scores = (out: Recorder): Score[] => out.of('anomalies').map(({ detail }) => JSON.parse(detail) as Score)

  test('is told with the parts that explain it, against the window before it', () => {
    const { give, out, core } = started({ window: 20, minSamples: 5 })
    const values = [10, 11, 9, 10, 11, 9, 30]
    give(0, ...values.map((power_w, seq) => numbered(seq, { power_w })))
    const [score, ...more] = scores(out)
    expect(more).toEqual([])
    expect(score).toMatchObject({ metric: index, value: 30, threshold: 3, windowCount: 6 })
    expect(score.mean).toBeCloseTo(10, 6)
    expect(score.stddev).toBeCloseTo(Math.sqrt(4 / 5), 6)
    expect(score.z).toBeCloseTo(20 / Math.sqrt(4 / 5), 4)
    expect(core.ledger.anomalies).toBe(1)
  })

  test('is judged in the order of clean, and only there', () => {
    const { give, out } = started({ window: 20, minSamples: 5 })
    const of = (seq: number): number => (seq === 8 ? 500 : 10 + (seq % 3))
    give(0, ...[0, 1, 2, 3, 4, 5, 8, 9, 7, 6].map((seq) => numbered(seq, { power_w: of(seq) })))
    give(1, numbered(10, { power_w: 900, ts: START_MS - 60_000 }))
    expect(scores(out).map(({ value, windowCount }) => [value, windowCount])).toEqual([[500, 8]])
  })

  test('MI-5: has the threshold and the window that a control record set, from that record on', () => {
    const { give, out, core } = started({ window: 20, minSamples: 5 })
    const noise = (from: number, to: number): TestRecord[] =>
      Array.from({ length: to - from }, (_, i) => numbered(from + i, { power_w: (from + i) % 3 }))
    give(
      0,
      ...noise(0, 20),
      settingsRecord({ ...SETTINGS, window: 6, minSamples: 5, z: 10 }),
      numbered(20, { power_w: 8 }),
      numbered(21, { power_w: 80 }),
    )
    expect(scores(out).map(({ value, threshold, windowCount }) => [value, threshold, windowCount])).toEqual([
      [80, 10, 6],
    ])
    expect(core.ledger.control).toBe(1)
  })
})

test('encode makes what the scanner reads: the support itself is sound', () => {
  expect(readingAt(encode({ seq: 3, epoch: 2 }).toString('hex'))).toMatchObject({ seq: 3, epoch: 2, tenant_id: 't' })
})
