// Reads the .avsc files once, as parsed JSON. They stay plain .avsc so that any Avro tool can use them.
import { readFileSync } from 'node:fs'

export interface AvroField {
  readonly name: string
  readonly type: unknown
  readonly doc?: string
  readonly default?: unknown
  readonly [attribute: string]: unknown
}

export interface AvroRecord {
  readonly type: 'record'
  readonly name: string
  readonly namespace: string
  readonly fields: readonly AvroField[]
}

/** The text of schemas/<name>.avsc verbatim: this is registered, since parsing would turn 1.0 into 1. */
export function schemaText(name: string): string {
  return readFileSync(new URL(`./${name}.avsc`, import.meta.url), 'utf8')
}

/** The schema in schemas/<name>.avsc. */
export function loadSchema(name: string): AvroRecord {
  return JSON.parse(schemaText(name)) as AvroRecord
}
