import fc from 'fast-check'
import { expect, test } from 'vitest'
import { AuditRecords } from '../../audit/core/records.ts'
import { sensorKey } from '../../platform/codec/identity.ts'
import { FRAME_BYTES } from '../../platform/codec/reading.ts'
import { planOrNull, ReadingDecoder } from '../../platform/codec/reading-decoder.ts'
import { byAvsc, written } from '../../platform/codec/resolution.test-support.ts'
import { recordBatchOf } from '../../platform/kafka/record-batch/record-batch.test-support.ts'
import { CLEAN } from '../../schemas/topics.ts'
import { decodeBatch, readingCodec } from '../../sinks/core/decode.ts'
import { Recorder, SETTINGS, START_MS } from '../../stream-jobs/refine/core/arrivals.test-support.ts'
import { Refine } from '../../stream-jobs/refine/core/refine.ts'
import { checkAsync } from '../fixtures/property.ts'

/** Refine's reasons for a record that cannot be decoded, and for one whose reading has no place. */
const UNREADABLE = /^(UNKNOWN_SCHEMA|UNDECODABLE)/
const PLACELESS = /^(UNKNOWN_SCHEMA|UNDECODABLE|INVALID_|KEY_MISMATCH)/

test('K6: refine, sink, export and audit give one verdict on every generated record', async () => {
  await checkAsync(
    fc.asyncProperty(written, async (given) => {
      const text = JSON.stringify(given.schema)
      const plan = planOrNull(text)
      const reading = byAvsc(given)
      const key = Buffer.from(reading === null ? 't/s' : sensorKey(reading.tenant_id, reading.sensor_id))
      const value = Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), given.bytes])
      expect(value.length - given.bytes.length).toBe(FRAME_BYTES)
      const batch = recordBatchOf([{ key, value }], { baseOffset: 0, appendTime: START_MS })

      const out = new Recorder()
      new Refine(SETTINGS, () => plan, 0, out).run(batch, 0, 1)
      const reason = out.of('dead letters')[0]?.detail ?? ''

      const fetched = { topic: CLEAN, partition: 0, batches: [batch], nextOffset: 1, endOffset: 1 }
      const stored = decodeBatch(fetched, 0, new Map([[1, readingCodec(text)]])).values
      const decoder = new ReadingDecoder(() => Promise.resolve(text))
      await decoder.learn(1)
      let exported: unknown = null
      try {
        exported = decoder.decodeKnown(value)
      } catch {
        // Refused, and the others must agree.
      }
      expect(stored[0] ?? null).toEqual(exported)
      // A key of its own is what a record needs that the others do not look at.
      if (reading !== null && plan !== null) expect(UNREADABLE.test(reason)).toBe(exported === null)
      else expect([UNREADABLE.test(reason), exported]).toEqual([true, null])
      expect(new AuditRecords(() => plan).kindOf(batch, 0)).toBe(PLACELESS.test(reason) ? 'placeless' : 'reading')
    }),
    200,
  )
})
