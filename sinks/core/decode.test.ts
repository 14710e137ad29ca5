import avsc from 'avsc'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeFramed, type Reading, readingType } from '../../platform/codec/reading.ts'
import type { FetchedBatch } from '../../platform/kafka/port.ts'
import { RecordBatchBuilder } from '../../platform/kafka/record-batch/builder.ts'
import { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import { reading } from '../../platform/store/contract-rows.ts'
import { loadSchema } from '../../schemas/load.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { CLEAN, LATE } from '../../schemas/topics.ts'
import { check } from '../../test/fixtures/property.ts'
import { collectSchemaIds, decodeBatch, readingCodec } from './decode.ts'

const NULLS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))
const full = (fields: Partial<Reading>): Reading => ({ ...reading(), ...NULLS, ...fields }) as Reading
const text = JSON.stringify(loadSchema('reading'))
const codecs = new Map([[1, readingCodec(text)]])

function fetchedOf(values: readonly (Buffer | null)[], topic = CLEAN): FetchedBatch {
  const builder = new RecordBatchBuilder()
  for (const value of values) builder.add(Buffer.from('key'), value)
  const bytes = Buffer.from(builder.finish(1_000, -1n, -1, -1, false))
  bytes.writeBigInt64BE(50n, 0)
  return { topic, partition: 0, batches: [new RecordBatch(bytes)], nextOffset: 50 + values.length, endOffset: 99 }
}

describe('decoding', () => {
  it('gives rows with their version and arrival, and lists what cannot be read beside them', () => {
    const good = [1, 2].map((ts) => encodeFramed(readingType, 1, full({ ts })))
    const fetched = fetchedOf([good[0], Buffer.from('garbage'), null, good[1]], LATE)
    const decoded = decodeBatch(fetched, 0, codecs)
    expect(decoded.values.map(({ ts }) => ts)).toEqual([1, 2])
    expect([...decoded.versions.subarray(0, 2)]).toEqual([51, 54])
    expect([...decoded.arrivals.subarray(0, 2)]).toEqual([1_000, 1_000])
    expect(decoded.rejects.map(({ index }) => index)).toEqual([1, 2])
  })

  it('EM-2: rows of clean have version 0, so that whatever comes late beats them', () => {
    const decoded = decodeBatch(fetchedOf([encodeFramed(readingType, 1, full({}))]), 0, codecs)
    expect(decoded.versions[0]).toBe(0)
    expect(
      decodeBatch(fetchedOf([encodeFramed(readingType, 1, full({}))], LATE), 0, codecs).versions[0],
    ).toBeGreaterThan(0)
  })

  it('leaves out records below the position', () => {
    const fetched = fetchedOf([1, 2, 3].map((ts) => encodeFramed(readingType, ts, full({ ts }))))
    expect([...collectSchemaIds(fetched, 51)]).toEqual([2, 3])
    const three = new Map([1, 2, 3].map((id) => [id, codecs.get(1)!]))
    expect(decodeBatch(fetched, 52, three).values.map(({ ts }) => ts)).toEqual([3])
  })

  it('reads what an older and a newer schema has written', () => {
    const schema = loadSchema('reading')
    const older = { ...schema, fields: schema.fields.filter(({ name }) => name !== 'pressure_hpa') }
    const newer = {
      ...schema,
      fields: [...schema.fields, { name: 'torque_nm', type: ['null', 'double'], default: null }],
    }
    for (const writer of [older, newer]) {
      const codec = readingCodec(JSON.stringify(writer))
      expect(codec).toHaveProperty('decode')
      const type = avsc.Type.forSchema(writer as unknown as avsc.Schema, { logicalTypes: {} })
      const value = encodeFramed(type, 1, { ...full({ ts: 5, power_w: 2 }), torque_nm: 1 })
      const [row] = decodeBatch(fetchedOf([value]), 0, new Map([[1, codec]])).values
      expect(row).toMatchObject({ ts: 5, power_w: 2, pressure_hpa: null })
    }
  })

  it('X-3: arbitrary bytes never throw, hang or become a row that was not written', () => {
    const good = encodeFramed(readingType, 1, full({ ts: 5, power_w: 2, tags: { a: 'b' } }))
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.from(array)),
      fc.uint8Array({ maxLength: 200 }).map((array) => Buffer.concat([Buffer.from([0, 0, 0, 0, 1]), array])),
      fc.tuple(fc.nat(good.length - 1), fc.nat(255)).map(([at, byte]) => Buffer.from(good).fill(byte, at, at + 1)),
      fc.nat(good.length).map((length) => good.subarray(0, length)),
    )
    check(
      fc.property(fc.array(bytes, { maxLength: 5 }), (values) => {
        const fetched = fetchedOf([...values, good])
        const known = new Map(
          [...collectSchemaIds(fetched, 0)].map((id) => [id, id === 1 ? codecs.get(1)! : readingCodec(null)]),
        )
        const decoded = decodeBatch(fetched, 0, known)
        expect(decoded.values.length + decoded.rejects.length).toBe(values.length + 1)
        expect(decoded.values.at(-1)).toMatchObject({ ts: 5, power_w: 2 })
        decoded.values.forEach((value) => expect(readingType.isValid(value)).toBe(true))
      }),
      1_000,
    )
  })

  it('names why a schema id cannot be used', () => {
    expect(readingCodec(null)).toMatchObject({ refused: expect.stringContaining('does not know') })
    expect(readingCodec('{"type":"record","name":"Other","fields":[]}')).toMatchObject({
      refused: expect.stringContaining('not a Reading'),
    })
    expect(readingCodec('{')).toHaveProperty('refused')
  })
})
