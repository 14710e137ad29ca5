import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { check, checkAsync } from '../../../test/fixtures/property.ts'
import { decodeRecordSet, filterAborted, type WireBatch } from './wire.ts'
import { AT, builderOf, sealed, stamped } from '../record-batch/record-batch.test-support.ts'

const CONTROL = 0x20

/** A batch of `count` records as it is in the log. */
function batchAt(
  baseOffset: number,
  count: number,
  producerId: number,
  transactional: boolean,
  control = false,
): Buffer {
  const records = Array.from({ length: count }, () => ({ key: Buffer.from([0, 0, 0, 0]), value: Buffer.from('v') }))
  const batch = stamped(builderOf(records).finish(0, BigInt(producerId), 0, 0, transactional), { baseOffset })
  if (control) batch.writeInt16BE(batch.readInt16BE(AT.attributes) | CONTROL, AT.attributes)
  return sealed(batch)
}

/** What kafkajs hands to the decoder: an int32 size, then the bytes. */
function decoderOf(bytes: Buffer, size = bytes.length) {
  return {
    readInt32: () => size,
    canReadBytes: (length: number) => length <= bytes.length,
    readBytes: (length: number) => bytes.subarray(0, length),
  }
}

describe('the decoder of record sets', () => {
  const batches = [
    batchAt(5, 3, 1, false),
    batchAt(8, 1, 1, true),
    batchAt(9, 1, 1, true, true),
    batchAt(20, 2, -1, false),
  ]

  test('cuts a record set into its batches and names the last offset of each', async () => {
    const decoded = await decodeRecordSet(decoderOf(Buffer.concat(batches)))
    expect(decoded.map(({ offset, isControlRecord }) => [offset, isControlRecord])).toEqual([
      ['7', false],
      ['8', false],
      ['9', true],
      ['21', false],
    ])
    decoded.forEach(({ bytes }, i) => expect(bytes.equals(batches[i])).toBe(true))
  })

  test('leaves a batch that is cut off for the next fetch, wherever it is cut', async () => {
    const whole = Buffer.concat(batches.slice(0, 2))
    for (let length = batches[0].length; length < whole.length; length += 1) {
      expect(await decodeRecordSet(decoderOf(whole.subarray(0, length)))).toHaveLength(1)
    }
    expect(await decodeRecordSet(decoderOf(Buffer.alloc(0), -1))).toEqual([])
    expect(await decodeRecordSet(decoderOf(Buffer.alloc(4), 8))).toEqual([])
  })

  test.each([0, -1, -12, -13, 48, -(2 ** 31)])('refuses a batch size of %i instead of standing still', async (size) => {
    const batch = Buffer.from(batches[0])
    batch.writeInt32BE(size, AT.size)
    await expect(decodeRecordSet(decoderOf(batch))).rejects.toThrow(`record batch of ${size} bytes`)
  })

  test('refuses formats before version 2', async () => {
    const batch = Buffer.from(batches[0])
    batch[AT.magic] = 1
    await expect(decodeRecordSet(decoderOf(batch))).rejects.toThrow('format 1')
  })

  test('ends on arbitrary bytes', async () => {
    await checkAsync(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const decoded = await decodeRecordSet(decoderOf(Buffer.from(bytes))).catch(() => [])
        expect(decoded.length).toBeLessThanOrEqual(4)
      }),
      500,
    )
  })
})

interface LogEntry {
  readonly batch: WireBatch
  readonly first: number
  readonly last: number
  readonly visible: boolean
}

type Step = { producer: number; what: 'send' | 'commit' | 'abort' | 'plain'; count: number }

/** A log in which each producer has one transaction at a time; what is left open at the end is committed. */
function logOf(steps: readonly Step[]): {
  log: LogEntry[]
  aborted: { producerId: string; firstOffset: string; marker: number }[]
} {
  const outcome = new Map<number, { first: number; entries: number[] }>()
  const log: LogEntry[] = []
  const aborted: { producerId: string; firstOffset: string; marker: number }[] = []
  let next = 100
  const append = (
    count: number,
    producer: number,
    transactional: boolean,
    control: boolean,
    visible: boolean,
  ): number => {
    const bytes = batchAt(next, count, producer, transactional, control)
    const last = next + count - 1
    log.push({ batch: { offset: String(last), isControlRecord: control, bytes }, first: next, last, visible })
    next += count
    return log.length - 1
  }
  const end = (producer: number, commit: boolean): void => {
    const open = outcome.get(producer)
    if (open === undefined) return
    outcome.delete(producer)
    const marker = log[append(1, producer, true, true, true)].last
    if (commit) return
    for (const index of open.entries) log[index] = { ...log[index], visible: false }
    aborted.push({ producerId: String(producer), firstOffset: String(open.first), marker })
  }
  for (const { producer, what, count } of steps) {
    if (what === 'plain') append(count, producer, false, false, true)
    else if (what === 'send') {
      const index = append(count, producer, true, false, true)
      const open = outcome.get(producer) ?? { first: log[index].first, entries: [] }
      open.entries.push(index)
      outcome.set(producer, open)
    } else end(producer, what === 'commit')
  }
  for (const producer of [...outcome.keys()]) end(producer, true)
  return { log, aborted }
}

describe('the filter of aborted transactions', () => {
  const step: fc.Arbitrary<Step> = fc.record({
    producer: fc.integer({ min: 1, max: 4 }),
    what: fc.constantFrom(
      'send' as const,
      'send' as const,
      'commit' as const,
      'abort' as const,
      'abort' as const,
      'plain' as const,
    ),
    count: fc.integer({ min: 1, max: 3 }),
  })

  test('leaves out exactly the batches of aborted transactions, whatever the order of the list and the part that was fetched', () => {
    check(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.nat(),
        fc.nat(),
        fc.infiniteStream(fc.nat()),
        (steps, from, length, random) => {
          const { log, aborted } = logOf(steps)
          if (log.length === 0) return
          const start = from % log.length
          const fetched = log.slice(start, start + 1 + (length % log.length))
          // The broker names the transactions that overlap what was fetched.
          const list = aborted
            .filter(
              ({ marker, firstOffset }) => marker >= fetched[0].first && Number(firstOffset) <= fetched.at(-1)!.last,
            )
            .map(({ producerId, firstOffset }) => ({ rank: random.next().value as number, producerId, firstOffset }))
            .sort((a, b) => a.rank - b.rank)
          const kept = filterAborted({ messages: fetched.map(({ batch }) => batch), abortedTransactions: list })
          expect(kept.map(({ offset }) => offset)).toEqual(
            fetched.filter(({ visible }) => visible).map(({ last }) => String(last)),
          )
        },
      ),
      1_500,
    )
  })

  test('keeps everything when the broker names no aborted transaction', () => {
    const messages = logOf([{ producer: 1, what: 'send', count: 2 }]).log.map(({ batch }) => batch)
    expect(filterAborted({ messages, abortedTransactions: null })).toEqual(messages)
    expect(filterAborted({ messages, abortedTransactions: [] })).toEqual(messages)
  })

  test('takes a record with a marker’s key for a record: only a control batch ends a transaction', () => {
    const { log, aborted } = logOf([
      { producer: 1, what: 'send', count: 1 },
      { producer: 1, what: 'send', count: 1 },
      { producer: 1, what: 'abort', count: 1 },
    ])
    const kept = filterAborted({ messages: log.map(({ batch }) => batch), abortedTransactions: aborted })
    expect(kept.map(({ isControlRecord }) => isControlRecord)).toEqual([true])
  })
})
