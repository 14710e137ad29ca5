import { expect, test } from 'vitest'
import { recordBatchOf, type TestRecord } from '../kafka/record-batch/record-batch.test-support.ts'
import type { RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { frameByHeader, framingProblem, isUnknownGuid, schemaNameOf, unknownGuidId } from './framing.ts'

const GUID = '89791762-2336-4186-9674-299b90a802e2'
const inHeader = (hex: string): { key: string; value: Buffer } => ({
  key: '__value_schema_id',
  value: Buffer.from(hex.replaceAll('-', ''), 'hex'),
})
const byGuid = inHeader(`01${GUID}`)
const BODY = Buffer.from('\u0000\u0000\u0000\u0000\u0000body')
const framed = (id: number): Buffer => Buffer.concat([Buffer.from([0, 0, 0, 0, id]), BODY])

const batchOf = (...records: readonly TestRecord[]): RecordBatch => recordBatchOf(records, { baseOffset: 7 })
const key = Buffer.from('t/s')

test('K12: a schema named by GUID or by id in a header gets the frame that all values have; what came stays available', () => {
  const batch = batchOf(
    { key, value: framed(3) },
    { key, value: BODY, headers: [{ key: 'trace', value: 'x' }, byGuid] },
    { key, value: BODY, headers: [inHeader('0000000009')] },
    { key, value: null, headers: [byGuid] },
    { key, value: Buffer.alloc(0), headers: [inHeader('0000000002'), byGuid] },
  )
  const asked: [string, number][] = []
  for (let i = 0; i < batch.count; i += 1)
    expect(frameByHeader(batch, i, (guid, offset) => (asked.push([guid, offset]), 5))).toBe(true)
  expect(asked).toEqual([
    [GUID, 8],
    [GUID, 11],
  ])
  expect([0, 1, 2, 3, 4].map((i) => batch.value(i))).toEqual([
    framed(3),
    framed(5),
    framed(9),
    null,
    Buffer.from([0, 0, 0, 0, 5]),
  ])
  const came = [0, 1, 2, 3, 4].map((i) => {
    const [at, length] = batch.arrivedValue(i)
    return length < 0 ? null : batch.bytes.subarray(at, at + length)
  })
  expect(came).toEqual([framed(3), BODY, BODY, null, Buffer.alloc(0)])
  // Again: nothing changes, and nobody is asked.
  frameByHeader(batch, 1, () => expect.fail('asked again'))
  expect(batch.value(1)).toEqual(framed(5))
  expect(batch.key(4)).toEqual(key)
  expect(batch.headers(1).map(({ key: name }) => name)).toEqual(['trace', '__value_schema_id'])
})

test('K12: a GUID whose id is not known yet leaves the record as it is', () => {
  const batch = batchOf({ key, value: BODY, headers: [byGuid] })
  expect(frameByHeader(batch, 0, () => undefined)).toBe(false)
  expect(batch.value(0)).toEqual(BODY)
  expect(schemaNameOf(batch, 0)).toEqual({ guid: GUID })
  frameByHeader(batch, 0, () => 4)
  expect(schemaNameOf(batch, 0)).toEqual({ id: 4 })
})

test.each(['', '01', '0102', `02${GUID}`, `01${GUID}00`, '00000001', '000000000001'])(
  'K12: a header with 0x%s names nothing: the frame in the value counts, and where there is none the message says what is missing',
  (hex) => {
    const batch = batchOf(
      { key, value: framed(3), headers: [inHeader(hex)] },
      { key, value: Buffer.from('x'), headers: [inHeader(hex)] },
    )
    expect([0, 1].map((i) => frameByHeader(batch, i, () => expect.fail('asked')))).toEqual([true, true])
    expect(schemaNameOf(batch, 0)).toEqual({ id: 3 })
    expect(schemaNameOf(batch, 1)).toBeNull()
    expect(framingProblem(batch, 1)).toContain('the header __value_schema_id has 0x')
  },
)

test('K12: without that header the frame is what is missing', () => {
  expect(framingProblem(batchOf({ key, value: Buffer.from('x') }), 0)).toBe(
    'the value does not begin with byte 0 and a schema id',
  )
})

test('K12: an unknown GUID has an id that no registry gives', () => {
  for (const guid of [GUID, '00000000-0000-3000-8000-000000000000', 'ffffffff-ffff-3fff-bfff-ffffffffffff']) {
    expect(isUnknownGuid(unknownGuidId(guid))).toBe(true)
    expect(unknownGuidId(guid)).toBeLessThan(2 ** 32)
  }
})
