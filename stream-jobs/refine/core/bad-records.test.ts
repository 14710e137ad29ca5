// No record stops the core: what cannot be read, what is too large, and what the core itself throws on become dead letters.
import { describe, expect, test } from 'vitest'
import { isUnknownGuid, unknownGuidId } from '../../../platform/codec/framing.ts'
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import {
  recordBatchOf,
  stamped,
  builderOf,
  withRecords,
  type TestRecord,
} from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { readRecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { MAX_RECORD_BYTES } from '../../../schemas/topics.ts'
import {
  feed,
  newCore,
  PARTITION,
  planOf,
  Recorder,
  recordOf,
  SCHEMA_ID,
  SETTINGS,
  START_MS,
} from './arrivals.test-support.ts'
import { imbalance } from '../../../schemas/refine.ts'
import { controlHeaders } from './control.ts'
import { Refine } from './refine.ts'

const reading = (ts: number, sensor_id = 's') => recordOf({ sensor_id, ts: START_MS - 60_000 + ts })

describe('K1: an exception on one record', () => {
  test('makes a dead letter with its reason, and the records after it are worked on', () => {
    const out = new Recorder()
    // A schema that the registry accepts and the scanner's plan has a mistake for.
    const broken = {} as ScanPlan
    const core = new Refine(SETTINGS, (id, offset) => (offset === 1 ? broken : planOf(id)), PARTITION, out)
    feed(core, [recordBatchOf([reading(1), reading(2), reading(3)], { appendTime: START_MS })])
    expect(out.of('dead letters').map(({ payload, detail }) => [payload, detail.slice(0, 25)])).toEqual([
      ['1', 'INTERNAL_ERROR: TypeError'],
    ])
    expect(core.failures).toBe(1)
    expect(core.ledger).toMatchObject({ consumed: 3, deadLettered: 1, buffered: 2 })
  })

  test('on a reading that waited makes that one a dead letter with its bytes, and the rest continues', () => {
    let calls = 0
    const out = new (class extends Recorder {
      override clean(...given: Parameters<Recorder['clean']>): void {
        calls += 1
        if (calls === 1) throw new TypeError('a mistake that shows on some bytes only')
        super.clean(...given)
      }
    })()
    const core = new Refine(SETTINGS, planOf, PARTITION, out)
    feed(core, [
      recordBatchOf([reading(1)], { appendTime: START_MS }),
      recordBatchOf([reading(9_000, 'other')], { baseOffset: 1, appendTime: START_MS + 60_000 }),
    ])
    expect(out.of('dead letters')).toMatchObject([{ sensor: 't/s', payload: '0' }])
    expect(core.failures).toBe(1)
    expect(core.ledger).toMatchObject({ consumed: 2, emitted: 0, deadLettered: 1, buffered: 1 })
    expect(imbalance(core.ledger)).toBe(0)
  })

  test('before its step, while its schema is looked for, makes a dead letter, too', () => {
    const out = new Recorder()
    const planOrThrow = (id: number, offset: number): ScanPlan | null => {
      if (offset === 1) throw new TypeError('a mistake')
      return planOf(id)
    }
    const core = new Refine(SETTINGS, planOrThrow, PARTITION, out)
    feed(core, [recordBatchOf([reading(1), reading(2), reading(3)], { appendTime: START_MS })])
    expect(out.of('dead letters')).toMatchObject([{ payload: '1', detail: 'INTERNAL_ERROR: TypeError: a mistake' }])
    expect(core.ledger).toMatchObject({ consumed: 3, deadLettered: 1, buffered: 2 })
  })

  test('without a net names the offset, so that the records are run again carefully', () => {
    const core = new Refine(
      SETTINGS,
      (id, offset) => (offset === 1 ? ({} as ScanPlan) : planOf(id)),
      PARTITION,
      new Recorder(),
    )
    core.careful = 0
    const run = (): void => feed(core, [recordBatchOf([reading(1), reading(2)], { appendTime: START_MS })])
    expect(run).toThrow(expect.objectContaining({ code: 'CORE_FAILED', offset: 1 }))
  })
})

describe('security 2: a record of a batch that cannot be read, or that is too large', () => {
  test('is a dead letter that names the offsets and the reason; the next batch is worked on', () => {
    const out = new Recorder()
    const core = newCore(out)
    const good = stamped(builderOf([reading(1), reading(2)]).finish(0, -1n, -1, -1, false), {
      baseOffset: 10,
      appendTime: START_MS,
    })
    feed(core, [
      readRecordBatch(withRecords(good, Buffer.from('no zstd'), 4)),
      recordBatchOf([reading(5)], { baseOffset: 12, appendTime: START_MS }),
    ])
    expect(out.of('dead letters')[0].detail).toMatch(/^UNREADABLE_BATCH: offsets 10 to 11 cannot be read/)
    expect(core.ledger).toMatchObject({ consumed: 2, deadLettered: 1, buffered: 1 })
  })

  test('is a dead letter when its value has more bytes than raw takes uncompressed', () => {
    const out = new Recorder()
    const core = newCore(out)
    feed(core, [recordBatchOf([{ key: Buffer.from('t/s'), value: Buffer.alloc(MAX_RECORD_BYTES + 1) }])])
    expect(out.of('dead letters')[0].detail).toMatch(/^TOO_LARGE: /)
  })
})

describe('security 6: settings of a version that topic config does not have', () => {
  const settings = (version: number, z: number, overrules?: number): TestRecord => ({
    key: null,
    value: null,
    headers: controlHeaders({ kind: 'settings', settings: { ...SETTINGS, version, z }, overrules }),
  })

  test('give way to those that overrule exactly that version, and to no others of a lower version', () => {
    const core = newCore(new Recorder())
    const forged = Number.MAX_SAFE_INTEGER
    feed(core, [recordBatchOf([settings(forged, 999), settings(3, 5), settings(3, 6, forged - 1)])])
    expect(core.settings).toMatchObject({ version: forged, z: 999 })
    feed(core, [recordBatchOf([settings(3, 5, forged)], { baseOffset: 3 })])
    expect(core.settings).toMatchObject({ version: 3, z: 5 })
    // The overruled version may come back only as what it is: a newer one, to be overruled again.
    feed(core, [recordBatchOf([settings(4, 7), settings(3, 5, forged)], { baseOffset: 4 })])
    expect(core.settings).toMatchObject({ version: 4, z: 7 })
  })
})

describe('K12: a reading whose schema a header names', () => {
  const GUID = '89791762-2336-4186-9674-299b90a802e2'
  const byGuid = { key: '__value_schema_id', value: Buffer.from(`01${GUID.replaceAll('-', '')}`, 'hex') }
  const headed = (record: TestRecord): TestRecord => ({
    ...record,
    value: record.value!.subarray(FRAME_BYTES),
    headers: [byGuid],
  })
  const at = { appendTime: START_MS }
  const numbered = (seq: number) => recordOf({ epoch: 1, seq, ts: START_MS + seq })

  test('goes to clean with the frame that all others have, also after it has waited, and repeats are duplicates', () => {
    const out = new Recorder()
    const core = new Refine(SETTINGS, planOf, PARTITION, out, () => SCHEMA_ID)
    feed(core, [recordBatchOf([headed(numbered(0)), headed(numbered(2)), numbered(1), headed(numbered(1))], at)])
    const plain = new Recorder()
    feed(newCore(plain), [recordBatchOf([numbered(0), numbered(2), numbered(1), numbered(1)], at)])
    expect(out.of('clean')).toHaveLength(3)
    expect(out.said).toEqual(plain.said)
    expect(core.ledger).toMatchObject({ emitted: 3, duplicate: 1, deadLettered: 0 })
  })

  test('waits in front of it, with nothing done, until the GUID is known', () => {
    const out = new Recorder()
    const known: { id?: number } = {}
    const core = new Refine(SETTINGS, planOf, PARTITION, out, () => known.id)
    const batch = recordBatchOf([numbered(0), headed(numbered(1))], at)
    expect(core.run(batch, 0, 2)).toBe(1)
    expect(core.ledger.consumed).toBe(1)
    known.id = SCHEMA_ID
    expect(core.run(batch, 1, 2)).toBe(2)
    expect(core.ledger.emitted).toBe(2)
  })

  test('is a dead letter that names the GUID when the registry does not know it', () => {
    const out = new Recorder()
    const core = new Refine(SETTINGS, (id) => (isUnknownGuid(id) ? null : planOf(id)), PARTITION, out, unknownGuidId)
    feed(core, [recordBatchOf([headed(numbered(0)), numbered(0)], at)])
    expect(out.of('dead letters').map(({ detail }) => detail)).toEqual([
      `UNKNOWN_SCHEMA: the schema with GUID ${GUID} is not that of a Reading`,
    ])
    expect(core.ledger).toMatchObject({ emitted: 1, deadLettered: 1 })
  })
})
