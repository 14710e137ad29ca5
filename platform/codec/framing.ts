// How a record names the schema of its value. Confluent's framing puts byte 0 and the schema's id (int32) in front of the
// body. Newer serializers can name the schema in a header instead: a version byte, then the GUID's 16 bytes (1) or
// the id (0); the value is then the body alone. Such a value gets the frame where it is first read, so that
// everything after raw knows one form only. The header wins over what the value begins with: a body may begin with anything.
import type { RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { FRAME_BYTES } from './reading.ts'

/** Confluent's header for the schema of a value. */
export const SCHEMA_HEADER = '__value_schema_id'
const ID_VERSION = 0
const GUID_VERSION = 1
const GUID_BYTES = 16
/** The registry's ids are positive int32: from here on an id stands for a GUID that the registry does not know. */
const GUID_IDS = 2 ** 31

/** Instead of a schema id: the value has none. Ids are unsigned here, so no id equals it. */
export const UNFRAMED = -1

export const isFramed = (batch: RecordBatch, i: number): boolean =>
  batch.valueLength(i) >= FRAME_BYTES && batch.bytes[batch.valueAt(i)] === 0

/** The schema id of a framed value that begins at `at`. */
export const schemaIdAt = (bytes: Uint8Array, at: number): number =>
  ((bytes[at + 1] << 24) | (bytes[at + 2] << 16) | (bytes[at + 3] << 8) | bytes[at + 4]) >>> 0

/** The schema id of a record's value, or UNFRAMED. */
export const schemaIdOf = (batch: RecordBatch, i: number): number =>
  isFramed(batch, i) ? schemaIdAt(batch.bytes, batch.valueAt(i)) : UNFRAMED

export type SchemaName = { readonly id: number } | { readonly guid: string }

/** Id for a GUID; undefined: the registry must be asked; `unknownGuidId` of it: the registry does not know it. */
export type IdOfGuid = (guid: string, offset: number) => number | undefined

/** What a header names; null: no such header, or nothing that can be read. Costs objects for records with headers only. */
export function schemaInHeader(batch: RecordBatch, i: number): SchemaName | null {
  if (!batch.hasHeaders(i)) return null
  // The last of several, as Kafka's own clients take it.
  const value = batch.headers(i).findLast(({ key }) => key === SCHEMA_HEADER)?.value ?? null
  if (value === null) return null
  if (value.length === FRAME_BYTES && value[0] === ID_VERSION) return { id: value.readUInt32BE(1) }
  // Protobuf's message indexes may follow a GUID; Avro has none.
  return value.length === 1 + GUID_BYTES && value[0] === GUID_VERSION ? { guid: guidText(value) } : null
}

/** What names the schema of a value, wherever; null: nothing does. */
export function schemaNameOf(batch: RecordBatch, i: number): SchemaName | null {
  if (batch.valueLength(i) < 0) return null
  const framed = batch.isFramedHere(i) ? null : schemaInHeader(batch, i)
  if (framed !== null) return framed
  return isFramed(batch, i) ? { id: schemaIdAt(batch.bytes, batch.valueAt(i)) } : null
}

/**
 * Gives a value whose schema a header names the frame that all other values have.
 * @returns false while the id of a GUID is not known: the record cannot be read yet
 */
export function frameByHeader(batch: RecordBatch, i: number, idOfGuid: IdOfGuid): boolean {
  if (!batch.hasHeaders(i) || batch.valueLength(i) < 0 || batch.isFramedHere(i)) return true
  const name = schemaInHeader(batch, i)
  if (name === null) return true
  const id = 'id' in name ? name.id : idOfGuid(name.guid, batch.offset(i))
  if (id === undefined) return false
  batch.frame(i, id)
  return true
}

/** An id that stands for a GUID without an id: no registry gives it, and a replay finds it again. */
export const unknownGuidId = (guid: string): number => GUID_IDS + (parseInt(guid.slice(0, 8), 16) % GUID_IDS)

export const isUnknownGuid = (schemaId: number): boolean => schemaId >= GUID_IDS

/** The schema of a framed record, for people. */
export function schemaText(batch: RecordBatch, i: number, schemaId: number): string {
  const name = schemaInHeader(batch, i)
  return name !== null && 'guid' in name ? `the schema with GUID ${name.guid}` : `schema id ${schemaId}`
}

/** Why a value has no frame, for people. */
export function framingProblem(batch: RecordBatch, i: number): string {
  const header = batch.headers(i).findLast(({ key }) => key === SCHEMA_HEADER)
  if (header === undefined) return 'the value does not begin with byte 0 and a schema id'
  const bytes = header.value === null ? 'nothing' : `0x${header.value.toString('hex', 0, 1 + GUID_BYTES)}`
  return (
    `the header ${SCHEMA_HEADER} has ${bytes}; it must have byte 1 and a GUID's 16 bytes, or byte 0 and a schema id, ` +
    'or the value must begin with byte 0 and a schema id'
  )
}

function guidText(value: Buffer): string {
  const hex = value.toString('hex', 1)
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
