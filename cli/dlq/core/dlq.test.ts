// Which dead letters are meant, what became of them, and where they go when they are sent again.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { encodeFramed, type Reading, readingType } from '../../../platform/codec/reading.ts'
import { planScan } from '../../../platform/codec/reading-plan.ts'
import type { HeaderInput } from '../../../platform/kafka/record-batch/builder.ts'
import { partitionOf } from '../../../platform/kafka/partitioner.ts'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { loadSchema } from '../../../schemas/load.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { ANOMALIES, CLEAN, LATE, MAX_RECORD_BYTES, RAW } from '../../../schemas/topics.ts'
import { check } from '../../../test/fixtures/property.ts'
import { type DeadLetter, parsePlace, placeText, readDeadLetter } from '../../../platform/dead-letters/letter.ts'
import { matches, meansAll, narrow, parseWhen } from './filter.ts'
import { markRecord, Marks, type Outcome, readMark } from '../../../platform/dead-letters/marks.ts'
import { hexDump, letterRow, routeText, rowsText, RunReport, Summary } from './report.ts'
import { Router } from './route.ts'

const SCHEMA_ID = 7
const NOW = 1_700_000_000_000
const FUTURE_MS = 300_000

interface Given {
  readonly key?: Buffer | null
  readonly value?: Buffer | null
  readonly topic?: string
  readonly from?: string
  readonly stage?: string
  readonly reason?: string
  readonly message?: string
  readonly partition?: number
  readonly offset?: number
  readonly headers?: readonly HeaderInput[]
}

const reading = (change: Partial<Reading> = {}, schemaId = SCHEMA_ID): Buffer =>
  encodeFramed(readingType, schemaId, {
    ...{ tenant_id: 't', site_id: 's', node_id: 'n', sensor_id: 's1', epoch: 1, seq: 4, ts: NOW, mono_ms: 0, tags: {} },
    ...Object.fromEntries(METRICS.map(({ name }) => [name, null])),
    ...change,
  })

function letterOf(given: Given = {}): DeadLetter {
  const { key = Buffer.from('t/s1'), value = reading(), topic = RAW, from = '3', stage = 'refine' } = given
  const { reason = 'UNKNOWN_SCHEMA', message = '', partition = 3, offset = 14 } = given
  const errors: HeaderInput[] = Object.entries({
    ...{ topic, partition: from, offset: '100', stage },
    ...{ 'exception.class.name': reason, 'exception.message': message },
  }).map(([name, text]) => ({ key: `__connect.errors.${name}`, value: text }))
  const headers = [...errors, ...(given.headers ?? [])]
  return readDeadLetter(recordBatchOf([{ key, value, headers }], { baseOffset: offset, appendTime: NOW }), 0, partition)
}

const plan = planScan(loadSchema('reading'))
const PARTITIONS = 6
/** Of the key t/s1. */
const HOME = partitionOf(Buffer.from('t/s1'), 0, 4, PARTITIONS)
const GUID = '89791762-2336-4186-9674-299b90a802e2'
const guidHeader = { key: '__value_schema_id', value: Buffer.from(`01${GUID.replaceAll('-', '')}`, 'hex') }
const schemas = {
  planOf: (id: number) => (id === SCHEMA_ID ? plan : id === 8 ? null : undefined),
  idOfGuid: (guid: string) => (guid === GUID ? SCHEMA_ID : undefined),
}
const router = new Router(schemas, FUTURE_MS, PARTITIONS)

describe('X-3: a dead letter', () => {
  test('says where its record came from and why it was refused', () => {
    const { from, stage, reason, partition, offset, timeMs } = letterOf()
    expect({ from, stage, reason, partition, offset, timeMs }).toEqual({
      from: { topic: RAW, partition: 3, offset: 100 },
      ...{ stage: 'refine', reason: 'UNKNOWN_SCHEMA', partition: 3, offset: 14, timeMs: NOW },
    })
    const bare = readDeadLetter(recordBatchOf([{ key: null, value: null }], { baseOffset: 1, appendTime: NOW }), 0, 0)
    expect(bare).toMatchObject({ from: { topic: '', partition: -1, offset: -1 }, stage: '', reason: '' })
  })

  test.each(['3', '@', '3@', '@14', '3@x', '-1@2', '3@14 ', '1e3@4', '9999999@1'])('has no place like "%s"', (text) => {
    expect(() => parsePlace(text)).toThrow('expected <partition>@<offset>')
  })
})

describe('sent again', () => {
  test.each<[string, Given, object]>([
    ['that never took its place goes as any record', {}, { kind: 'replay', as: 'record' }],
    ['whose time has come goes to late', { reason: 'FUTURE_TIME' }, { kind: 'replay', as: 'late' }],
    ['whose metric is acceptable now goes to late', { reason: 'METRIC_OUT_OF_BOUNDS' }, { kind: 'replay', as: 'late' }],
    ['that the store refused goes to late', { topic: CLEAN, stage: 'TASK_PUT' }, { kind: 'replay', as: 'late' }],
    ['of late goes to late', { topic: LATE, stage: 'TASK_PUT' }, { kind: 'replay', as: 'late' }],
  ])('a letter %s', (_, given, route) =>
    expect(router.route(letterOf(given), NOW)).toEqual({ ...route, partition: HOME }),
  )

  test('K3: a letter of a wrong partition goes to the one that its key belongs to, and the dry run says so', () => {
    for (const partition of [0, 1, 2, 3, 4, 5]) {
      const letter = letterOf({ reason: 'WRONG_PARTITION', partition, from: String(partition) })
      const route = router.route(letter, NOW)
      expect(route).toEqual({ kind: 'replay', as: 'record', partition: HOME })
      const moved = partition === HOME ? '' : ', where its key belongs'
      expect(routeText(letter, route)).toBe(`to telemetry.raw/${HOME}${moved}, under the key t/s1`)
    }
  })

  test('K12: a letter whose schema a header names by GUID is read, and its bytes stay as they came', () => {
    const value = reading().subarray(5)
    const letter = letterOf({ value, headers: [guidHeader] })
    expect(router.route(letter, NOW)).toEqual({ kind: 'replay', as: 'record', partition: HOME })
    expect(letter.value).toEqual(value)
    const other = { ...guidHeader, value: Buffer.alloc(17, 1) }
    const guid = '01010101-0101-0101-0101-010101010101'
    expect(router.route(letterOf({ value, headers: [other] }), NOW)).toEqual({
      kind: 'unknown-schema',
      schema: { guid },
    })
  })

  test.each<[string, Given, string]>([
    ['an anomaly', { topic: ANOMALIES }, 'it is an anomaly'],
    ['a foreign topic', { topic: 'orders' }, 'it came from "orders"'],
    ['another partition', { from: '2' }, 'Plumbline did not write it'],
    ['a control record', { reason: 'UNKNOWN_CONTROL' }, 'headers are not kept'],
    ['garbage', { value: Buffer.from('garbage'), message: 'not framed' }, 'refused again: not framed'],
    ['a tombstone', { value: null, reason: 'NO_VALUE' }, 'refused again: NO_VALUE'],
    ['no key', { key: null, reason: 'NO_KEY' }, 'refused again: NO_KEY'],
    ['a foreign key', { key: Buffer.from('t/other') }, 'refused again'],
    ['a schema that is no Reading', { value: reading({}, 8) }, 'refused again'],
    ['a time still ahead', { value: reading({ ts: NOW + FUTURE_MS + 5 }) }, 'still 300005 ms ahead'],
    ['a metric out of bounds', { value: reading({ temperature_c: -500 }) }, 'temperature_c must be from'],
    ['no room for headers', { value: Buffer.alloc(MAX_RECORD_BYTES - 100) }, 'no room for the headers'],
  ])('stays because of %s', (_, given, why) =>
    expect(router.route(letterOf(given), NOW)).toEqual({ kind: 'stay', why: expect.stringContaining(why) }),
  )

  test('of a schema that was not looked up yet asks for it', () => {
    expect(router.route(letterOf({ value: reading({}, 9) }), NOW)).toEqual({
      kind: 'unknown-schema',
      schema: { id: 9 },
    })
  })
})

describe('a filter', () => {
  const all = { places: new Set<string>() }

  test.each<[object, boolean]>([
    [{}, true],
    [{ reason: 'UNKNOWN_SCHEMA', topic: RAW, stage: 'refine', partition: 3, state: 'open' }, true],
    [{ reason: 'NOT_FRAMED' }, false],
    [{ topic: CLEAN }, false],
    [{ partition: 2 }, false],
    [{ stage: 'TASK_PUT' }, false],
    [{ sensor: 't/s1' }, true],
    [{ sensor: 's1' }, true],
    [{ sensor: '1' }, false],
    [{ sinceMs: NOW, untilMs: NOW + 1 }, true],
    [{ sinceMs: NOW + 1 }, false],
    [{ untilMs: NOW }, false],
    [{ state: 'dropped' }, false],
    [{ places: new Set(['3@14']) }, true],
    [{ places: new Set(['3@15']) }, false],
  ])('%j leaves the letter: %s', (filter, expected) => {
    expect(matches(letterOf(), 'open', { ...all, ...filter })).toBe(expected)
  })

  test('narrows what is read, and never cuts off what it means', () => {
    const offset = fc.nat(60)
    check(
      fc.property(fc.array(fc.tuple(fc.nat(2), offset), { maxLength: 5 }), offset, offset, (places, a, b) => {
        const range = { start: Math.min(a, b), end: Math.max(a, b) }
        const filter = { places: new Set(places.map(([partition, at]) => placeText({ partition, offset: at }))) }
        const { start, end } = narrow(range, 1, filter)
        for (let at = range.start; at < range.end; at += 1) {
          const isMeant = matches(letterOf({ partition: 1, offset: at }), 'open', filter)
          expect(!isMeant || (at >= start && at < end)).toBe(true)
        }
      }),
      50,
    )
    expect(meansAll(all)).toBe(true)
    expect(meansAll({ ...all, reason: undefined, sinceMs: 0 })).toBe(false)
    expect(meansAll({ places: new Set(['1@1']) })).toBe(false)
  })

  test('takes points in time in three forms', () => {
    expect(parseWhen('2h', 'since', NOW)).toBe(NOW - 7_200_000)
    expect(parseWhen('1700000000000', 'since', 0)).toBe(NOW)
    expect(parseWhen('2023-11-14T22:13:20Z', 'since', 0)).toBe(NOW)
    expect(() => parseWhen('yesterday', 'since', NOW)).toThrow('--since is "yesterday"')
  })
})

describe('marks', () => {
  test('come back from their records; anything else is no mark', () => {
    const { key, value } = markRecord({ partition: 3, offset: 14 }, 'replayed', 'telemetry.raw/3')
    expect(readMark(key, value)).toEqual({
      place: { partition: 3, offset: 14 },
      outcome: 'replayed',
      to: 'telemetry.raw/3',
    })
    for (const [k, v] of [
      ['3@14', 'no JSON'],
      ['3@14', '{"outcome":"eaten"}'],
      ['here', '{"outcome":"dropped"}'],
    ])
      expect(readMark(Buffer.from(k), Buffer.from(v))).toBeNull()
    expect(readMark(null, value)).toBeNull()
    expect(readMark(key, null)).toBeNull()
  })

  test('are final: the first outcome of a letter is the one that counts', () => {
    const mark = fc.record({
      partition: fc.nat(2),
      offset: fc.nat(20),
      outcome: fc.constantFrom<Outcome>('replayed', 'dropped'),
    })
    check(
      fc.property(fc.array(mark, { maxLength: 60 }), (given) => {
        const marks = new Marks()
        const model = new Map<string, Outcome>()
        for (const { outcome, ...place } of given) {
          marks.add({ place, outcome })
          if (!model.has(placeText(place))) model.set(placeText(place), outcome)
        }
        for (let partition = 0; partition < 3; partition += 1)
          for (let offset = 0; offset <= 20; offset += 1)
            expect(marks.stateOf({ partition, offset })).toBe(model.get(`${partition}@${offset}`) ?? 'open')
      }),
    )
  })
})

describe('what is printed', () => {
  test('no byte of a letter steers the terminal', () => {
    const evil = letterOf({ key: Buffer.from('t/\u001b[2J'), reason: '\u001b[31m', message: 'a\u0007\nb' })
    const summary = new Summary()
    summary.add(evil, 'open')
    for (const text of [rowsText([letterRow(evil, 'open')]), summary.text()]) {
      expect(text).not.toMatch(/[^\P{Cc}\n]/u)
      expect(text.split('\n')).toHaveLength(2)
    }
  })

  test('counts by reason, most open ones first, and bounded', () => {
    const summary = new Summary()
    summary.add(letterOf({ reason: 'B' }), 'dropped')
    summary.add(letterOf({ reason: 'A' }), 'open')
    summary.add(letterOf({ reason: 'A' }), 'replayed')
    expect(summary.groups()).toMatchObject([
      { reason: 'A', open: 1, replayed: 1, dropped: 0 },
      { reason: 'B', open: 0, replayed: 0, dropped: 1 },
    ])
    for (let i = 0; i < 1_000; i += 1) summary.add(letterOf({ reason: `R${i}` }), 'open')
    expect(summary.groups().length).toBeLessThanOrEqual(201)
    expect(summary.groups().reduce((sum, { open }) => sum + open, 0)).toBe(1_001)
  })

  test('bytes are shown in rows of sixteen with their text, and long values are cut with a word about the rest', () => {
    expect(hexDump(Buffer.from('gar\u001bbage'))).toBe(
      '  00000000  67 61 72 1b 62 61 67 65                          gar.bage',
    )
    expect(hexDump(Buffer.alloc(1_025)).split('\n')).toHaveLength(65)
    expect(hexDump(Buffer.alloc(1_025))).toContain('1 bytes more')
  })

  test('the report names why letters stay, and a dry run says would', () => {
    const report = new RunReport('replayed', true)
    report.count({ kind: 'replay', as: 'late', partition: 1 })
    report.count({ kind: 'replay', as: 'record', partition: 1 })
    report.count({ kind: 'stay', why: 'no' })
    report.settledBefore()
    expect(report.text()).toBe(
      '2 would be replayed, 1 of them on to telemetry.late\n1 stay open:\n  1 no\n1 were replayed or dropped before',
    )
  })
})
