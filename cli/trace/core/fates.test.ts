import { describe, expect, test } from 'vitest'
import { fatesOf, type Found, type FoundLetter } from './fates.ts'
import { compareTo, isTarget, parseNumber, parseTs, type Target } from './target.ts'

const found = (topic: string, offset: number, value: string, more: Partial<Found> = {}): Found => ({
  ...{ topic, partition: 0, offset, timeMs: 1_000 + offset, epoch: 7, seq: 3, ts: 500 },
  value: Buffer.from(value),
  ...more,
})
const raw = (offset: number, value = 'a', more: Partial<Found> = {}): Found =>
  found('telemetry.raw', offset, value, more)
const letter = (offset: number): FoundLetter => ({
  ...{
    place: '0@1',
    key: null,
    timeMs: 2_000,
    stage: 'refine',
    reason: 'CONFLICT',
    message: 'other bytes',
    state: 'open',
    markedMs: null,
  },
  from: { topic: 'telemetry.raw', partition: 0, offset },
})

const upTo =
  (committed: number) =>
  ({ offset }: Found): boolean =>
    offset < committed

describe('X-6: the fate of each raw record', () => {
  test('the first with the bytes of clean is the accepted one, and the others are its duplicates', () => {
    const clean = found('telemetry.clean', 9, 'a', { timeMs: 5_000 })
    expect(fatesOf([raw(1), raw(2), raw(5)], [clean], [], [], upTo(10))).toEqual([
      { kind: 'clean', to: clean },
      { kind: 'duplicate', of: raw(1) },
      { kind: 'duplicate', of: raw(1) },
    ])
  })

  test('other bytes of the same number are a dead letter, by the place that it names', () => {
    const clean = found('telemetry.clean', 9, 'a', { timeMs: 5_000 })
    expect(fatesOf([raw(1), raw(2, 'b')], [clean], [], [letter(2)], upTo(10)).map(({ kind }) => kind)).toEqual([
      'clean',
      'dead letter',
    ])
  })

  test('a correction is a second accepted record, in late', () => {
    const clean = found('telemetry.clean', 9, 'a', { timeMs: 5_000 })
    const late = found('telemetry.late', 4, 'b', { timeMs: 6_000, reason: 'correction' })
    expect(fatesOf([raw(1), raw(2, 'b')], [clean], [late], [], upTo(10)).map(({ kind }) => kind)).toEqual([
      'clean',
      'late',
    ])
  })

  test('an outcome that is older than the record is not its own', () => {
    const clean = found('telemetry.clean', 9, 'a', { timeMs: 900 })
    expect(fatesOf([raw(1)], [clean], [], [], upTo(10))).toEqual([{ kind: 'open' }])
  })

  test('what refine has not read is waiting, what it has read and is nowhere is open', () => {
    expect(fatesOf([raw(1), raw(12)], [], [], [], upTo(10)).map(({ kind }) => kind)).toEqual(['open', 'waiting'])
    expect(fatesOf([raw(12)], [], [], [], () => true)).toEqual([{ kind: 'open' }])
  })
})

describe('X-6: what is asked for', () => {
  const target: Target = { key: 't/s', tenant: 't', sensor: 's', ts: 500, number: { epoch: 7, seq: 3 } }
  test('a numbered reading is known by its number, another one by its time', () => {
    expect(isTarget(target, { epoch: 7, seq: 3, ts: 1 })).toBe(true)
    expect(isTarget({ ...target, ts: null }, { epoch: 7, seq: 4, ts: 500 })).toBe(false)
    expect(isTarget({ ...target, number: null }, { epoch: 9, seq: 9, ts: 500 })).toBe(true)
    expect(isTarget({ ...target, ts: null, number: { epoch: 0, seq: 0 } }, { epoch: 0, seq: 0, ts: 8 })).toBe(false)
  })
  test('the search is led by the number where there is one, and else by the time', () => {
    expect(compareTo(target, { epoch: 7, seq: 1, ts: 9_999 })).toBeLessThan(0)
    expect(compareTo(target, { epoch: 8, seq: 0, ts: 0 })).toBeGreaterThan(0)
    expect(compareTo({ ...target, number: null }, { epoch: 8, seq: 0, ts: 499 })).toBeLessThan(0)
  })
  test.each(['7', '7:', 'a:b', '7:3:1'])('%s is not a number of a reading', (text) => {
    expect(() => parseNumber(text)).toThrow(expect.objectContaining({ code: 'PARAMETER' }))
  })
  test.each(['noon', '2026-01-31T12:00:00', '2026-13-01T00:00:00Z', ''])('"%s" is not an event time', (text) => {
    expect(() => parseTs(text)).toThrow(expect.objectContaining({ code: 'TIME' }))
  })
  test('an event time is ms or ISO 8601 with a zone', () => {
    expect(parseTs('1769860800000')).toBe(1_769_860_800_000)
    expect(parseTs('2026-01-31T13:00:00+01:00')).toBe(1_769_860_800_000)
  })
})
