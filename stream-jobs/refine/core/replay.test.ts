// Recovery rests on replay: a core restored from any snapshot must say and become, to the byte, what the one said and
// became that never stopped.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { check } from '../../../test/fixtures/property.ts'
import {
  feed,
  PARTITION,
  newCore,
  plan,
  play,
  planOf,
  Recorder,
  recordOf,
  SCHEMA_ID,
  scripts,
  SETTINGS,
  START_MS,
  tickRecord,
} from './arrivals.test-support.ts'
import { Refine } from './refine.ts'
import { restoreSnapshot, schemaIdsOf, type SnapshotChunk, snapshotType, takeSnapshot } from './snapshot.ts'

/** Through Avro, as the topic has it. */
const stored = (chunks: readonly SnapshotChunk[]): SnapshotChunk[] =>
  chunks.map((chunk) => snapshotType.fromBuffer(snapshotType.toBuffer(chunk)) as SnapshotChunk)

const bytesOf = (core: Refine): string[] =>
  takeSnapshot(core, 'id', 0).map((chunk) => snapshotType.toBuffer(chunk).toString('hex'))

function restored(core: Refine, out: Recorder): Refine {
  const next = newCore(out, { ...SETTINGS, z: 99, window: 2 })
  restoreSnapshot(next, stored(takeSnapshot(core, 'id', 0)))
  return next
}

/** Every record of the batches, one by one. */
const places = (batches: readonly RecordBatch[]): [RecordBatch, number][] =>
  batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i): [RecordBatch, number] => [batch, i]))

describe('a core that is restored from a snapshot', () => {
  test('says and becomes what the one does that never stopped, over several cuts and changed settings', () => {
    check(
      fc.property(scripts(true), fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), (script, cuts) => {
        const { batches } = play(script)
        const steady = new Recorder()
        const steadyCore = newCore(steady)
        feed(steadyCore, batches)

        const records = places(batches)
        const cutAt = new Set(cuts.map((cut) => cut % (records.length + 1)))
        const stopped = new Recorder()
        let core = newCore(stopped)
        records.forEach(([batch, i], at) => {
          if (cutAt.has(at)) core = restored(core, stopped)
          core.run(batch, i, i + 1)
        })
        expect(stopped.said).toEqual(steady.said)
        expect(bytesOf(core)).toEqual(bytesOf(steadyCore))
        expect(core.settings).toEqual(steadyCore.settings)
      }),
      150,
    )
  })

  test('is given back by its own snapshot, byte for byte', () => {
    check(
      fc.property(scripts(true), (script) => {
        const core = newCore(new Recorder())
        feed(core, play(script).batches)
        expect(bytesOf(restored(core, new Recorder()))).toEqual(bytesOf(core))
      }),
      60,
    )
  })

  test('does not change the snapshot that was taken before it went on', () => {
    const script = fc.sample(scripts(true), { numRuns: 20, seed: 5 })
    for (const steps of script) {
      const { batches } = play(steps)
      const core = newCore(new Recorder())
      feed(core, batches.slice(0, batches.length / 2))
      const chunks = takeSnapshot(core, 'id', 0)
      const before = chunks.map((chunk) => snapshotType.toBuffer(chunk).toString('hex'))
      feed(core, batches.slice(batches.length / 2))
      expect(chunks.map((chunk) => snapshotType.toBuffer(chunk).toString('hex'))).toEqual(before)
    }
  })

  test('takes its sensors from several chunks, and the ids of the schemas that wait are known beforehand', () => {
    const core = newCore(new Recorder())
    for (let s = 0; s < 40; s += 1) {
      const records = [2, 3].map((seq) =>
        recordOf({ sensor_id: `big-${s}`, epoch: 1, seq, tags: { note: 'x'.repeat(20_000) } }),
      )
      feed(core, [recordBatchOf(records, { appendTime: START_MS })])
    }
    const chunks = takeSnapshot(core, 'id', 41)
    expect(chunks.length).toBeGreaterThan(1)
    expect(chunks.map(({ index, chunks: count, input_offset }) => [index, count, input_offset])).toEqual(
      chunks.map((_, i) => [i, chunks.length, 41]),
    )
    for (const chunk of chunks) expect(snapshotType.toBuffer(chunk).length).toBeLessThan(1024 * 1024)
    expect([...schemaIdsOf(stored(chunks))]).toEqual([SCHEMA_ID])
    expect(bytesOf(restored(core, new Recorder()))).toEqual(bytesOf(core))
    expect(core.ledger.buffered).toBe(80)
  })

  test('can be taken of a core that forged seqs have sent to the end of the numbers', () => {
    const core = newCore(new Recorder())
    const last = 2 ** 52 - 1
    for (let s = 0; s < 6; s += 1)
      feed(core, [
        recordBatchOf([recordOf({ sensor_id: `s${s}`, epoch: last, seq: last, ts: START_MS })], {
          appendTime: START_MS,
        }),
      ])
    feed(core, [recordBatchOf([tickRecord], { appendTime: START_MS + 10_000 })])
    expect(core.ledger).toMatchObject({ emitted: 6, buffered: 0 })
    expect(bytesOf(restored(core, new Recorder()))).toEqual(bytesOf(core))
  })
})

describe('at a record whose schema is not known yet, run', () => {
  /** A core that must ask before every schema id, once per offset. */
  function asking(out: Recorder): { core: Refine; known: Set<number> } {
    const known = new Set<number>()
    const core = new Refine(
      SETTINGS,
      (id, offset) => (offset < 0 || known.has(offset) ? planOf(id) : undefined),
      PARTITION,
      out,
    )
    return { core, known }
  }

  test('stops in front of it with nothing done, and continues from it as if it had not stopped', () => {
    check(
      fc.property(scripts(true), (script) => {
        const { batches } = play(script)
        const steady = new Recorder()
        const steadyCore = newCore(steady)
        feed(steadyCore, batches)

        const out = new Recorder()
        const { core, known } = asking(out)
        for (const batch of batches) {
          for (let i = 0; i < batch.count;) {
            i = core.run(batch, i, batch.count)
            if (i === batch.count) break
            // Asking twice before it learns gives the same answer, and nothing moves.
            const [before, said] = [bytesOf(core), out.said.length]
            expect(core.run(batch, i, batch.count)).toBe(i)
            expect([bytesOf(core), out.said.length]).toEqual([before, said])
            known.add(batch.offset(i))
          }
        }
        expect(out.said).toEqual(steady.said)
        expect(bytesOf(core)).toEqual(bytesOf(steadyCore))
      }),
      30,
    )
  })

  test('has not let time pass: waits that end with the unknown record end when it is taken', () => {
    const out = new Recorder()
    let asked = false
    const core = new Refine(SETTINGS, (id) => (id === SCHEMA_ID ? plan : asked ? null : undefined), PARTITION, out)
    feed(core, [recordBatchOf([recordOf({ epoch: 1, seq: 1 })], { appendTime: START_MS })])
    const unknown = recordOf({ epoch: 1, seq: 2 })
    Buffer.from(unknown.value!.buffer, unknown.value!.byteOffset).writeInt32BE(99, 1)
    const batch = recordBatchOf([unknown], { appendTime: START_MS + 60_000 })
    expect(core.run(batch, 0, 1)).toBe(0)
    expect([core.now, core.ledger.emitted]).toEqual([START_MS, 0])
    asked = true
    expect(core.run(batch, 0, 1)).toBe(1)
    expect(core.ledger).toMatchObject({ consumed: 2, emitted: 1, deadLettered: 1, buffered: 0 })
  })
})
