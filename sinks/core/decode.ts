// From fetched bytes to rows. A record that cannot be read never stops the batch: it is listed with its reason, for
// the dead-letter topic. Readings are decoded with refine's own scanner and plans, so both agree.
import avsc from 'avsc'
import { decodeReading, readingSchema } from '../../platform/codec/reading-decoder.ts'
import { ReadingScanner } from '../../platform/codec/reading-scanner.ts'
import { FRAME_BYTES, type Reading } from '../../platform/codec/reading.ts'
import type { FetchedBatch } from '../../platform/kafka/port.ts'
import type { RecordBatch } from '../../platform/kafka/record-batch/record-batch.ts'
import type { Anomaly } from '../../platform/store/port.ts'
import { type AvroRecord, loadSchema } from '../../schemas/load.ts'
import { LATE } from '../../schemas/topics.ts'
import { schemaIdOf, UNFRAMED } from '../../platform/codec/framing.ts'

/** Decodes the body in [at, end) of `bytes`; throws when it is not one record of the schema, no more and no less. */
export type Decode<T> = (bytes: Buffer, at: number, end: number) => T

/** What a schema id resolves to: a decoder, or why records with it cannot be read. */
export type Codec<T> = { readonly decode: Decode<T> } | { readonly refused: string }

export interface Reject {
  readonly batch: RecordBatch
  /** Index in the batch. */
  readonly index: number
  readonly reason: string
}

export interface Decoded<T> {
  readonly values: readonly T[]
  /** By index of `values`: the store's version of the row, see platform/store/port.ts. */
  readonly versions: Float64Array
  /** By index of `values`: arrival in the topic, ms. */
  readonly arrivals: Float64Array
  /** By index of `values`: offset in the partition. */
  readonly offsets: Float64Array
  readonly rejects: readonly Reject[]
}

export const anomalyType = avsc.Type.forSchema(loadSchema('anomaly') as unknown as avsc.Schema)

/** @param text the writer's schema as registered; null: the registry does not know the id */
export function readingCodec(text: string | null): Codec<Reading> {
  const schema = readingSchema(text)
  if ('refused' in schema) return schema
  const scanner = new ReadingScanner()
  return { decode: (bytes, at, end) => decodeReading(scanner, schema.plan, schemaIdBefore(bytes, at), bytes, at, end) }
}

/** For a framed body. */
const schemaIdBefore = (bytes: Buffer, at: number): number => bytes.readUInt32BE(at - 4)

/** @param text as for `readingCodec` */
export function anomalyCodec(text: string | null): Codec<Anomaly> {
  return codecFor(text, (schema) => {
    const resolver = resolverFrom(anomalyType, schema)
    return (bytes, at, end) => {
      const { value, offset } = anomalyType.decode(bytes, at, resolver)
      if (offset !== end) throw new Error('the bytes are not an Anomaly of their schema')
      return value as Anomaly
    }
  })
}

function codecFor<T>(text: string | null, make: (schema: AvroRecord) => Decode<T>): Codec<T> {
  if (text === null) return { refused: 'the schema registry does not know the schema id' }
  try {
    return { decode: make(JSON.parse(text) as AvroRecord) }
  } catch (error) {
    return { refused: `the schema cannot be read as ours: ${(error as Error).message}` }
  }
}

/** Undefined where the writer's schema is ours: decoding without a resolver is faster. */
function resolverFrom(reader: avsc.Type, schema: AvroRecord): avsc.Resolver | undefined {
  const writer = avsc.Type.forSchema(schema as unknown as avsc.Schema, { logicalTypes: {} })
  return writer.fingerprint().equals(reader.fingerprint()) ? undefined : reader.createResolver(writer)
}

/** The schema ids of the batch's records at or after `position`. */
export function collectSchemaIds(fetched: FetchedBatch, position: number): Set<number> {
  const ids = new Set<number>()
  for (const batch of fetched.batches) {
    for (let i = 0; i < batch.count; i += 1) if (batch.offset(i) >= position) ids.add(schemaIdOf(batch, i))
  }
  ids.delete(UNFRAMED)
  return ids
}

/**
 * Decodes the batch's records at or after `position`.
 * @param codecs holds every id that `collectSchemaIds` found
 */
export function decodeBatch<T>(
  fetched: FetchedBatch,
  position: number,
  codecs: ReadonlyMap<number, Codec<T>>,
): Decoded<T> {
  const count = fetched.batches.reduce((sum, batch) => sum + batch.count, 0)
  const values: T[] = []
  const versions = new Float64Array(count)
  const arrivals = new Float64Array(count)
  const offsets = new Float64Array(count)
  const rejects: Reject[] = []
  const isLate = fetched.topic === LATE
  for (const batch of fetched.batches) {
    for (let i = 0; i < batch.count; i += 1) {
      if (batch.offset(i) < position) continue
      try {
        const value = decodeRecord(batch, i, codecs)
        versions[values.length] = isLate ? 1 + batch.offset(i) : 0
        arrivals[values.length] = batch.timestamp(i)
        offsets[values.length] = batch.offset(i)
        values.push(value)
      } catch (error) {
        rejects.push({ batch, index: i, reason: (error as Error).message })
      }
    }
  }
  return { values, versions, arrivals, offsets, rejects }
}

/** The batch's records at these offsets, in order. @param reasons by offset */
export function rejectsAt({ batches }: FetchedBatch, reasons: ReadonlyMap<number, string>): Reject[] {
  const rejects: Reject[] = []
  for (const batch of batches) {
    for (let index = 0; index < batch.count; index += 1) {
      const reason = reasons.get(batch.offset(index))
      if (reason !== undefined) rejects.push({ batch, index, reason })
    }
  }
  if (rejects.length !== reasons.size) throw new Error('the batch lacks a record that came from it')
  return rejects
}

function decodeRecord<T>(batch: RecordBatch, i: number, codecs: ReadonlyMap<number, Codec<T>>): T {
  if (batch.problem !== null) throw new Error(batch.problem)
  const id = schemaIdOf(batch, i)
  if (id === UNFRAMED) throw new Error('the value is not in Confluent’s framing')
  const codec = codecs.get(id)!
  if ('refused' in codec) throw new Error(`schema id ${id}: ${codec.refused}`)
  const at = batch.valueAt(i)
  return codec.decode(batch.bytes, at + FRAME_BYTES, at + batch.valueLength(i))
}
