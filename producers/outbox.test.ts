import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FRAME_BYTES, type Reading, readingType } from '../platform/codec/reading.ts'
import { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { checkAsync } from '../test/fixtures/property.ts'
import { Batcher } from './batcher.ts'
import { Disorder } from './nodes/core/disorder.ts'
import { Outbox } from './outbox.ts'
import { makeBatch, makeReading, openWal, tempDir } from '../platform/wal/wal.test-support.ts'

/** The broker of these tests: what was sent, and whether it says so. */
function sendAll(outbox: Outbox, fate: 'delivered' | 'lost' | 'in doubt', nowMs: number, flush = false): Reading[] {
  const batcher = new Batcher('telemetry.raw', 3)
  outbox.fill(batcher, nowMs, flush)
  const readings = batcher.batches().flatMap(({ records }) => {
    const batch = new RecordBatch(Buffer.from(records.finish(0, -1n, -1, -1, false)))
    return Array.from({ length: batch.count }, (_, i) => {
      const at = batch.valueAt(i)
      return readingType.fromBuffer(
        Buffer.from(batch.bytes.subarray(at + FRAME_BYTES, at + batch.valueLength(i))),
      ) as Reading
    })
  })
  if (fate === 'delivered') outbox.delivered()
  else outbox.rewind()
  return fate === 'lost' ? [] : readings
}

function accept(outbox: Outbox, sensors: number, rounds: number, nowMs = 0): boolean {
  const batch = makeBatch()
  for (let round = 0; round < rounds; round += 1)
    for (let sensor = 0; sensor < sensors; sensor += 1)
      batch.add(outbox.wal.lane(`t/s${sensor}`), makeReading(`s${sensor}`, 1))
  return outbox.accept(batch, nowMs)
}

const idsOf = (readings: readonly Reading[]): string[] => readings.map(({ sensor_id, seq }) => `${sensor_id} ${seq}`)

describe('the outbox (MI-2)', () => {
  test('whatever sends fail and however small the ring is, every reading arrives, and memory stays within the ring', async () => {
    const step = fc.oneof(
      fc.record({ accept: fc.integer({ min: 1, max: 12 }) }),
      fc.record({ send: fc.constantFrom('delivered' as const, 'lost' as const, 'in doubt' as const) }),
    )
    await checkAsync(
      fc.asyncProperty(
        fc.array(step, { maxLength: 50 }),
        fc.integer({ min: 4, max: 200 }),
        fc.boolean(),
        async (steps, ringCapacity, disordered) => {
          const wal = openWal(tempDir())
          const disorder = disordered
            ? new Disorder({ seed: 4, outOfOrder: 0.2, duplicates: 0.2, sensors: 3, maxOvertakes: 3 })
            : undefined
          const outbox = new Outbox({ wal, ringCapacity, disorder })
          const arrived = new Set<string>()
          let rounds = 0
          for (const action of steps) {
            if ('accept' in action) {
              expect(accept(outbox, 3, action.accept)).toBe(true)
              rounds += action.accept
            } else for (const id of idsOf(sendAll(outbox, action.send, 0))) arrived.add(id)
            expect(outbox.ringFill).toBeLessThanOrEqual(1)
          }
          for (const id of idsOf(sendAll(outbox, 'delivered', 0, true))) arrived.add(id)
          for (const id of idsOf(sendAll(outbox, 'delivered', 0, true))) arrived.add(id)
          expect(arrived.size).toBe(rounds * 3)
          expect(outbox.depth).toBe(0)
          await wal.close()
        },
      ),
      60,
    )
  })

  test('the ring serves again once the sender has caught up after an overflow', async () => {
    const outbox = new Outbox({ wal: openWal(tempDir()), ringCapacity: 10 })
    accept(outbox, 1, 8)
    accept(outbox, 1, 8)
    expect(outbox.behindRing).toBe(true)
    expect(sendAll(outbox, 'delivered', 0)).toHaveLength(16)
    accept(outbox, 1, 8)
    expect(outbox.behindRing).toBe(false)
    expect(outbox.ringFill).toBeCloseTo(0.8)
    await outbox.wal.close()
  })

  test('the ring serves again even when more is accepted during every send', async () => {
    const outbox = new Outbox({ wal: openWal(tempDir()), ringCapacity: 10 })
    accept(outbox, 1, 8)
    accept(outbox, 1, 8)
    for (let send = 0; send < 3; send += 1) {
      outbox.fill(new Batcher('telemetry.raw', 3), 0)
      accept(outbox, 1, 4)
      outbox.delivered()
    }
    expect(outbox.behindRing).toBe(false)
    await outbox.wal.close()
  })

  test('a reading that is held back goes out after later ones of its sensor, and nothing is acknowledged beyond it', async () => {
    const outbox = new Outbox({
      wal: openWal(tempDir()),
      ringCapacity: 1_000,
      disorder: new Disorder({ seed: 3, outOfOrder: 0.1, duplicates: 0, sensors: 1, maxOvertakes: 3 }),
    })
    accept(outbox, 1, 100)
    const seqs = sendAll(outbox, 'delivered', 0).map(({ seq }) => seq)
    expect(seqs).not.toEqual([...seqs].sort((a, b) => a - b))
    accept(outbox, 1, 50)
    const sent = new Set([...seqs, ...sendAll(outbox, 'delivered', 0).map(({ seq }) => seq)])
    for (let seq = 0; seq < outbox.wal.acknowledged; seq += 1) expect(sent.has(seq)).toBe(true)
    await outbox.wal.close()
  })

  test('a held reading does not wait for ever when nothing follows: a log that is full must empty', async () => {
    const outbox = new Outbox({
      wal: openWal(tempDir()),
      ringCapacity: 1_000,
      disorder: new Disorder({ seed: 3, outOfOrder: 0.5, duplicates: 0, sensors: 1, maxOvertakes: 5 }),
    })
    accept(outbox, 1, 20, 0)
    sendAll(outbox, 'delivered', 0)
    sendAll(outbox, 'delivered', 10)
    expect(outbox.depth).toBeGreaterThan(0)
    sendAll(outbox, 'delivered', 1_100)
    expect(outbox.depth).toBe(0)
    await outbox.wal.close()
  })

  test('what only the page cache has is not sent when every reading is to be forced to disk first', async () => {
    const outbox = new Outbox({ wal: openWal(tempDir(), { fsyncMs: 0 }), ringCapacity: 100 })
    accept(outbox, 1, 5)
    expect(sendAll(outbox, 'delivered', 0)).toHaveLength(0)
    await outbox.wal.sync()
    expect(sendAll(outbox, 'delivered', 0)).toHaveLength(5)
    await outbox.wal.close()
  })
})
