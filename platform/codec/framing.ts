// Confluent's framing of a value: byte 0, the schema's id as int32, the body. Where it is missing, why: newer serializers
// can put a schema's GUID into a header instead. The id is needed in the value, which is passed on as it is; a header
// would be lost on the way to the topics after raw.
import type { Header } from '../kafka/record-batch/record-batch.ts'

/** Confluent's header for the schema of a value; a version byte, then the GUID's 16 bytes. */
const SCHEMA_HEADER = '__value_schema_id'
const GUID_VERSION = 1
const GUID_BYTES = 16

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
