// The order reader on a real broker, held to an oracle that keeps every reading under its sequence: from any sequence,
// any time, following, and over everything that can be wrong with an order.
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { uniformInt } from 'pure-rand/distribution/uniformInt'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { CLEAN, ORDER } from '../../schemas/topics.ts'
import { bare } from '../../test/fixtures/bare.ts'
import { readingOf } from '../../test/fixtures/load.ts'
import { OrderWriter } from '../../test/fixtures/order-writer.ts'
import { schemasOf, startStack, type Stack } from '../../test/fixtures/refine.ts'
import { FRAME_BYTES, type Reading, readingType } from '../codec/reading.ts'
import { OrderCheck } from './check.ts'
import { type OrderChunk, OrderReader } from './order-reader.ts'

const PARTITIONS = 3
const TRANSACTIONS = 100
const SEED = 7

let stack: Stack
let writer: OrderWriter
let reader: OrderReader
let random = xoroshiro128plus(SEED)
const below = (end: number): number => uniformInt(random, 0, end - 1)
let seq = 0
const readings = (partition: number, count: number): Reading[] =>
  Array.from({ length: count }, () => readingOf(`s${partition}`, 1, (seq += 1), 1_700_000_000_000 + seq))

/** A reading with its place on one line, so that a difference can be read. */
const shown = (sequence: number, partition: number, offset: number, { sensor_id, seq, ts }: Reading): string =>
  `#${sequence} ${partition}@${offset} ${sensor_id} ${seq} ${ts}`

const decode = ({ sequence, partition, batch, from, to }: OrderChunk): string[] =>
  Array.from({ length: to - from }, (_, k) => {
    const reading = readingType.fromBuffer(batch.value(from + k)!.subarray(FRAME_BYTES)) as Reading
    return shown(sequence + k, partition, batch.offset(from + k), reading)
  })

const placed = (from = 0, to?: number): string[] =>
  writer.placed.slice(from, to).map((at) => shown(at.sequence, at.partition, at.offset, at.reading))

async function read(from: number, limit: number): Promise<string[]> {
  const got: string[] = []
  const next = await reader.read(from, limit, (chunk) => void got.push(...decode(chunk)))
  expect(next).toBe(from + got.length)
  return got
}

/** Follows the sequences [from, to). */
async function follow(from: number, to: number): Promise<string[]> {
  const got: string[] = []
  const end = new AbortController()
  await reader.follow({
    from,
    signal: end.signal,
    onChunk: (chunk) => void got.push(...decode(chunk)),
    onProgress: () => {
      if (from + got.length >= to) end.abort()
    },
  })
  return got
}

beforeAll(async () => {
  stack = await startStack(PARTITIONS)
  writer = await OrderWriter.start(stack)
  reader = await OrderReader.open({ kafka: stack.kafka, fetchSchema: schemasOf(stack) })
  random = xoroshiro128plus(SEED)
})
afterAll(async () => {
  await writer?.close()
  await reader?.close()
  await stack?.stop()
})

describe('the order reader', () => {
  it('tells of an empty order that the next sequence is 0', async () => {
    expect(await reader.nextSequence()).toBe(0)
    expect(await reader.firstSequence()).toBe(0)
    expect(await read(0, 10)).toEqual([])
  })

  it('reads from any sequence exactly what has its place there (DS-1)', async () => {
    for (let i = 0; i < TRANSACTIONS; i += 1) {
      if (below(8) === 0) await writer.abort(below(PARTITIONS), readings(0, 1 + below(20)))
      const partitions = [0, 1, 2].filter(() => below(2) === 0)
      const extents = partitions.map((p) => [p, readings(p, 1 + below(below(10) === 0 ? 400 : 12))] as const)
      if (extents.length > 0) await writer.append(extents)
    }
    const { next } = writer
    expect(await read(0, Infinity)).toEqual(placed())
    for (let i = 0; i < 12; i += 1) {
      const from = below(next)
      const limit = 1 + below(60)
      expect(await read(from, limit)).toEqual(placed(from, from + limit))
    }
    expect(await read(next - 1, 5)).toEqual(placed(next - 1))
    expect(await read(next, 5)).toEqual([])
    expect(await reader.nextSequence()).toBe(next)
  })

  it('finds the first reading that got its place at a time or later', async () => {
    const extents: { base: number; ms: number }[] = []
    const { start, end } = await reader.log.range()
    await reader.log.scan(start, end, ({ baseSequence, orderedMs }) => {
      extents.push({ base: baseSequence, ms: orderedMs })
      return true
    })
    for (const { ms } of [extents[0], extents[30], extents.at(-1)!])
      for (const asked of [ms, ms + 1])
        expect(await reader.sequenceAt(asked)).toBe(extents.find((extent) => extent.ms >= asked)?.base ?? null)
  })

  it('follows from any sequence, over what comes while it does (DS-1)', async () => {
    for (const from of [0, 77, writer.next - 1, writer.next]) {
      const following = follow(from, writer.next + 5 * 7)
      for (let i = 0; i < 5; i += 1) await writer.append([[i % PARTITIONS, readings(i % PARTITIONS, 7)]])
      expect(await following).toEqual(placed(from))
    }
  })

  it('names what retention has removed and begins after it, never skips it', async () => {
    const cut = writer.placed.findLast(({ partition, sequence }) => partition === 1 && sequence < writer.next / 2)!
    await bare('admin', {
      brokers: stack.broker.brokers,
      deleteRecords: { topic: CLEAN, partitions: [{ partition: 1, offset: String(cut.offset + 1) }] },
    })
    const extent = (await reader.extentOf(cut.sequence))!
    const gone = cut.offset + 1 - extent.firstOffset
    await expect(read(extent.baseSequence, 1_000)).rejects.toMatchObject({
      code: 'RANGE_REMOVED',
      partition: 1,
      range: {
        partition: 1,
        fromOffset: extent.firstOffset,
        toOffset: extent.firstOffset + gone,
        fromSequence: extent.baseSequence,
        toSequence: extent.baseSequence + gone,
      },
    })
    const first = (await reader.firstSequence())!
    expect(first).toBe(extent.baseSequence + extent.count)
    expect(await read(first, Infinity)).toEqual(placed(first))
    await expect(follow(0, writer.next)).rejects.toMatchObject({ code: 'RANGE_REMOVED' })
  })

  it('names a sequence that the order itself no longer keeps', async () => {
    const extent = (await reader.extentOf(50))!
    await bare('admin', {
      brokers: stack.broker.brokers,
      deleteRecords: { topic: ORDER, partitions: [{ partition: 0, offset: String(extent.offset + 1) }] },
    })
    const kept = extent.baseSequence + extent.count
    await expect(read(50, 1)).rejects.toThrow(`no longer keeps sequence 50: what is kept begins with ${kept}`)
  })

  it('finds a reading in clean that has no place, and an extent that says another count than clean holds (X-2)', async () => {
    const before = writer.next
    await writer.append([[0, readings(0, 3)]])
    await writer.leaveOut(0, readings(0, 2))
    await writer.append([[0, readings(0, 3)]])
    await expect(read(before, 100)).rejects.toMatchObject({ code: 'COUNT_MISMATCH', message: /in no extent/ })
    expect(await read(before + 3, 100)).toEqual(placed(before + 3))
    await writer.append([[2, readings(2, 4)]], { count: 3, baseSequence: writer.next })
    const forged = writer.next - 4
    await writer.append([[2, readings(2, 2)]], { baseSequence: forged + 3 })
    await expect(read(forged, 5)).rejects.toMatchObject({ code: 'COUNT_MISMATCH', message: /in no extent/ })
    await writer.append([[1, readings(1, 2)]], { count: 4, baseSequence: forged + 5 })
    await writer.append([[1, readings(1, 2)]], { baseSequence: forged + 9 })
    await expect(read(forged + 5, 5)).rejects.toMatchObject({ code: 'COUNT_MISMATCH', message: /has none there/ })
  })

  it('finds gaps and repeats of the sequence, and extents that overlap (DS-1)', async () => {
    const check = new OrderCheck()
    const { start, end } = await reader.log.range()
    await writer.append([[0, readings(0, 2)]], { baseSequence: 900_000 })
    await writer.append([[0, readings(0, 2)]], { baseSequence: 900_001 })
    await writer.append([[0, readings(0, 2)]], { baseSequence: 900_003, firstOffset: 0 })
    const faults: string[] = []
    await reader.log.scan(start, (await reader.log.range()).end, (record) => {
      const finding = check.add(record)
      if (finding !== null && record.offset >= end) faults.push(finding.fault)
      return true
    })
    expect(faults).toEqual(['SEQUENCE_GAP', 'SEQUENCE_REPEATED', 'EXTENT_OVERLAP'])
    await expect(read(900_000, 10)).rejects.toMatchObject({ code: 'SEQUENCE_REPEATED' })
  })
})
