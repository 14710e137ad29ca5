// The records of the topic `_schemas`, as Confluent's registry writes them: JSON keys and values. The order of a key's
// members matters, since compaction compares bytes. Members of a value that we do not know are kept as they are.
import { isJsonObject } from './json.ts'

export interface SchemaValue {
  readonly subject: string
  readonly version: number
  readonly id: number
  readonly schema: string
  readonly deleted?: boolean
  /** AVRO where absent. */
  readonly schemaType?: string
  readonly references?: readonly unknown[]
  readonly [other: string]: unknown
}

export type RegistryRecord =
  | { readonly kind: 'schema'; readonly subject: string; readonly version: number; readonly value: SchemaValue | null }
  | { readonly kind: 'delete-subject'; readonly subject: string; readonly upTo: number }
  /** Compatibility of a subject, or of all (null); `level` null: no longer set. */
  | { readonly kind: 'config'; readonly subject: string | null; readonly level: string | null }
  | { readonly kind: 'mode'; readonly subject: string | null; readonly mode: string | null }
  /** Written by Confluent's registry to find the end of the topic, or of a kind that we have no use for. */
  | { readonly kind: 'other' }

export interface EncodedRecord {
  readonly key: string
  /** null is a tombstone. */
  readonly value: string | null
}

export function encodeRecord(record: Exclude<RegistryRecord, { kind: 'other' | 'mode' }>): EncodedRecord {
  switch (record.kind) {
    case 'schema': {
      const key = { keytype: 'SCHEMA', subject: record.subject, version: record.version, magic: 1 }
      return encoded(key, record.value)
    }
    case 'delete-subject':
      return encoded(
        { keytype: 'DELETE_SUBJECT', subject: record.subject, magic: 0 },
        { subject: record.subject, version: record.upTo },
      )
    case 'config': {
      const key = { keytype: 'CONFIG', ...(record.subject === null ? {} : { subject: record.subject }), magic: 0 }
      return encoded(key, record.level === null ? null : { compatibilityLevel: record.level })
    }
  }
}

const encoded = (key: object, value: object | null): EncodedRecord => ({
  key: JSON.stringify(key),
  value: value === null ? null : JSON.stringify(value),
})

/** @throws Error that says what is wrong, if the record is not one of Confluent's */
export function decodeRecord({ key: keyText, value: valueText }: EncodedRecord): RegistryRecord {
  const key: unknown = JSON.parse(keyText)
  const value: unknown = valueText === null ? null : JSON.parse(valueText)
  if (!isJsonObject(key) || (value !== null && !isJsonObject(value))) throw new Error('key and value must be objects')
  const subject = typeof key.subject === 'string' ? key.subject : null
  switch (key.keytype) {
    case 'SCHEMA': {
      const { version } = key
      if (subject === null || !isPositive(version)) throw new Error('a SCHEMA key needs subject and version')
      if (value !== null && !isSchemaValue(value))
        throw new Error('a SCHEMA value needs subject, version, id and schema')
      return { kind: 'schema', subject, version, value }
    }
    case 'DELETE_SUBJECT':
      if (value === null) return { kind: 'other' }
      if (subject === null || !isPositive(value.version))
        throw new Error('a DELETE_SUBJECT record needs subject and version')
      return { kind: 'delete-subject', subject, upTo: value.version }
    case 'CONFIG':
      return { kind: 'config', subject, level: textOrNull(value?.compatibilityLevel) }
    case 'MODE':
      return { kind: 'mode', subject, mode: textOrNull(value?.mode) }
    default:
      return { kind: 'other' }
  }
}

const isPositive = (value: unknown): value is number => Number.isInteger(value) && (value as number) > 0

function isSchemaValue(value: Readonly<Record<string, unknown>>): value is SchemaValue {
  return (
    typeof value.subject === 'string' &&
    isPositive(value.version) &&
    Number.isInteger(value.id) &&
    typeof value.schema === 'string'
  )
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null)
