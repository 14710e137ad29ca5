// Confluent's framing of a value: byte 0, the schema's id as int32, the body. Where it is missing, why: newer serializers
// can put a schema's GUID into a header instead. The id is needed in the value, which is passed on as it is; a header
// would be lost on the way to the topics after raw.
import type { Header, RecordBatch } from '../kafka/record-batch/record-batch.ts'
import { FRAME_BYTES } from './reading.ts'

/** Confluent's header for the schema of a value; a version byte, then the GUID's 16 bytes. */
const SCHEMA_HEADER = '__value_schema_id'
const GUID_VERSION = 1
const GUID_BYTES = 16

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

/** Why a value has no frame, for people; @param headers of its record */
export function framingProblem(headers: readonly Header[]): string {
  const header = headers.find(({ key }) => key === SCHEMA_HEADER)
  if (header === undefined) return 'the value does not begin with byte 0 and a schema id'
  return (
    `the schema is named by ${guidText(header.value)} in the header ${SCHEMA_HEADER}; the value must begin with byte 0 and ` +
    'a schema id: set value.schema.id.serializer to io.confluent.kafka.serializers.schema.id.PrefixSchemaIdSerializer'
  )
}

function guidText(value: Buffer | null): string {
  if (value === null || value.length !== 1 + GUID_BYTES || value[0] !== GUID_VERSION) return 'something'
  const hex = value.toString('hex', 1)
  const parts = [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
  return `the GUID ${parts.join('-')}`
}
