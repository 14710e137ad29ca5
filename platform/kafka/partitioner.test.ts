import { expect, test } from 'vitest'
import { murmur2, partitionOf } from './partitioner.ts'

// Known values of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
const JAVA: readonly [string, number][] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test.each(JAVA)('murmur2 of %j is what Java computes', (text, expected) => {
  const bytes = Buffer.from(text)
  expect(murmur2(bytes, 0, bytes.length)).toBe(expected)
})

test('a key has the same partition wherever it is in a buffer', () => {
  const key = Buffer.from('acme/power-0001')
  const inside = Buffer.concat([Buffer.from('xyz'), key, Buffer.from('uv')])
  expect(partitionOf(inside, 3, key.length, 6)).toBe(partitionOf(key, 0, key.length, 6))
})
