import fc from 'fast-check'
import { expect, test } from 'vitest'
import { RecordBatchBuilder } from '../kafka/record-batch/builder.ts'
import { recordBatchOf } from '../kafka/record-batch/record-batch.test-support.ts'
import type { Header } from '../kafka/record-batch/record-batch.ts'
import {
  deadLetterHeaders,
  ERROR_HEADERS,
  HEADERS_LEFT_OUT_HEADER,
  KEPT_HEADER_BYTES_MAX,
  KEPT_HEADERS_MAX,
  ownHeaders,
  readRefusal,
} from './headers.ts'

const REFUSAL = {
  ...{ topic: 'telemetry.raw', partition: 3, offset: 14, stage: 'refine' },
  ...{ reason: 'NOT_FRAMED', message: 'the value does not begin with a schema id' },
}
/** As they come back from the log. */
const throughTheLog = (own: readonly Header[]): Header[] =>
  recordBatchOf([{ key: null, value: null, headers: deadLetterHeaders(REFUSAL, own) }], { baseOffset: 0 }).headers(0)

test('a dead letter keeps the headers of its record, in order, repeated and empty ones included', () => {
  const header = fc.record({
    key: fc.string({ maxLength: 20 }),
    value: fc.option(fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes))),
  })
  fc.assert(
    fc.property(fc.array(header, { maxLength: 20 }), (own) => {
      const read = throughTheLog(own)
      expect(ownHeaders(read)).toEqual(own)
      expect(readRefusal(read)).toEqual(REFUSAL)
    }),
  )
})

test('headers that are ours say nothing of the next letter: a forged reason or mark is left away', () => {
  const read = throughTheLog([
    { key: ERROR_HEADERS.reason, value: Buffer.from('FORGED') },
    { key: 'plumbline.control', value: Buffer.from('settings') },
    { key: 'plumbline.replay.as', value: Buffer.from('late') },
    { key: 'traceparent', value: Buffer.from('00-1') },
  ])
  expect(readRefusal(read)).toEqual(REFUSAL)
  expect(ownHeaders(read)).toEqual([{ key: 'traceparent', value: Buffer.from('00-1') }])
})

test('however many and large they are, headers stay within their bounds, and the letter says how many are missing', () => {
  const many = Array.from({ length: 1_000 }, (_, i) => ({ key: `h${i}`, value: null }))
  const large = Array.from({ length: 3 }, (_, i) => ({ key: `h${i}`, value: Buffer.alloc(KEPT_HEADER_BYTES_MAX / 2) }))
  for (const [own, kept] of [
    [many, KEPT_HEADERS_MAX],
    [large, 1],
  ] as const) {
    const read = throughTheLog(own)
    expect(ownHeaders(read)).toHaveLength(kept)
    const leftOut = read.find(({ key }) => key === HEADERS_LEFT_OUT_HEADER)
    expect(Number(leftOut?.value)).toBe(own.length - kept)
  }
})

test('a message as long as a record does not make the letter one', () => {
  const records = new RecordBatchBuilder()
  records.add(null, null, deadLetterHeaders({ ...REFUSAL, message: 'x'.repeat(1_000_000) }, []))
  expect(records.byteLength).toBeLessThan(2_000)
})
