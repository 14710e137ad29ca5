// What the client answers to a send is read with distrust: see baseOffsets.
import { expect, test } from 'vitest'
import { RecordBatchBuilder } from '../record-batch/builder.ts'
import { baseOffsets } from './producer.ts'

const batch = (topic: string, partition: number) => {
  const records = new RecordBatchBuilder()
  records.add(null, Buffer.from('x'))
  return { topic, partition, records }
}
const written = (topicName: string, partition: number, baseOffset?: string) => ({
  topicName,
  partition,
  errorCode: 0,
  baseOffset,
})
const BATCHES = [batch('a', 0), batch('a', 1), batch('b', 0)]
const ONCE = [written('b', 0, '7'), written('a', 1, '5'), written('a', 0, '3')]

test('each batch has the offset of its own partition, in whatever order the brokers answer', () => {
  expect(baseOffsets(BATCHES, ONCE, false)).toEqual([3, 5, 7])
})

test('X-12: a batch that no broker acknowledged is an error, though the client reports success', () => {
  expect(() => baseOffsets(BATCHES, ONCE.slice(0, 2), true)).toThrowError(
    expect.objectContaining({ code: 'NO_BASE_OFFSET', topic: 'a', partition: 0 }),
  )
  expect(() => baseOffsets(BATCHES, [...ONCE.slice(0, 2), written('a', 0)], true)).toThrowError(
    expect.objectContaining({ code: 'NO_BASE_OFFSET' }),
  )
})

test('X-12: a batch that the client sent twice when its leader moved fails the transaction', () => {
  const twice = [...ONCE, written('a', 1, '6')]
  expect(() => baseOffsets(BATCHES, twice, false)).toThrowError(
    expect.objectContaining({ code: 'SENT_TWICE', topic: 'a', partition: 1 }),
  )
  expect(baseOffsets(BATCHES, twice, true), 'outside of a transaction a repetition is recognised downstream').toEqual([
    3, 5, 7,
  ])
})
