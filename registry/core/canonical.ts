// One text per schema. Two texts that differ only in white space, in the order of attributes or in how names are
// spelt get the same canonical text, and so the same id. Documentation, defaults, aliases and custom attributes (units
// and bounds of metrics) are part of the schema and stay. The text is the one that Avro's Java library prints
// (org.apache.avro.Schema.toString), which Confluent's registry keeps in its topic: so either can take the topic over.
import { isJsonObject, parseExact, type JsonObject } from './json.ts'

const PRIMITIVES = new Set(['null', 'boolean', 'int', 'long', 'float', 'double', 'bytes', 'string'])
/** Attributes with a defined position; anything else is a custom attribute. */
const RESERVED = {
  record: ['type', 'name', 'namespace', 'doc', 'fields', 'aliases'],
  enum: ['type', 'name', 'namespace', 'doc', 'symbols', 'default', 'aliases'],
  fixed: ['type', 'name', 'namespace', 'doc', 'size', 'aliases'],
  array: ['type', 'items'],
  map: ['type', 'values'],
  field: ['name', 'type', 'doc', 'default', 'order', 'aliases'],
  primitive: ['type'],
} as const

/**
 * @param text an Avro schema in JSON
 * @throws Error (or SyntaxError) that says what is wrong with its structure
 */
export function canonicalText(text: string): string {
  return JSON.stringify(schema(parseExact(text), undefined))
}

/** @param space the enclosing namespace; undefined outside of any */
function schema(node: unknown, space: string | undefined): unknown {
  if (typeof node === 'string') return reference(node, space)
  if (Array.isArray(node)) return node.map((branch) => schema(branch, space))
  if (!isJsonObject(node)) throw new Error(`${JSON.stringify(node)} is not a schema`)
  const { type } = node
  // {"type": {...}} and {"type": [...]} are wrappers around a schema.
  if (typeof type !== 'string') return schema(type, space)
  if (type === 'record' || type === 'error') return record(node, type, space)
  if (type === 'enum') return enumeration(node, space)
  if (type === 'fixed') return fixed(node, space)
  if (type === 'array') return { type, items: schema(node.items, space), ...custom(node, 'array') }
  if (type === 'map') return { type, values: schema(node.values, space), ...custom(node, 'map') }
  const attributes = custom(node, 'primitive')
  if (!PRIMITIVES.has(type)) return reference(type, space)
  return Object.keys(attributes).length === 0 ? type : { type, ...attributes }
}

function record(node: JsonObject, type: string, space: string | undefined): object {
  const named = nameOf(node, space)
  if (!Array.isArray(node.fields)) throw new Error(`record ${named.name} has no fields`)
  const fields = node.fields.map((field: unknown) => fieldOf(field, named.space))
  return { type, ...named.written, ...pick(node, 'doc'), fields, ...custom(node, 'record'), ...pick(node, 'aliases') }
}

function fieldOf(field: unknown, space: string | undefined): object {
  if (!isJsonObject(field)) throw new Error(`${JSON.stringify(field)} is not a field`)
  const order = field.order === 'ascending' ? {} : pick(field, 'order')
  return {
    name: field.name,
    type: schema(field.type, space),
    ...pick(field, 'doc'),
    ...pick(field, 'default'),
    ...order,
    ...pick(field, 'aliases'),
    ...custom(field, 'field'),
  }
}

function enumeration(node: JsonObject, space: string | undefined): object {
  const { written } = nameOf(node, space)
  const own = { ...pick(node, 'doc'), symbols: node.symbols, ...pick(node, 'default') }
  return { type: 'enum', ...written, ...own, ...custom(node, 'enum'), ...pick(node, 'aliases') }
}

function fixed(node: JsonObject, space: string | undefined): object {
  const { written } = nameOf(node, space)
  return {
    type: 'fixed',
    ...written,
    ...pick(node, 'doc'),
    size: node.size,
    ...custom(node, 'fixed'),
    ...pick(node, 'aliases'),
  }
}

/** A dotted name carries its namespace; otherwise `namespace` or the enclosing one holds. Empty means none. */
function nameOf(
  node: JsonObject,
  enclosing: string | undefined,
): { name: string; space: string | undefined; written: object } {
  const { name: given, namespace } = node
  if (typeof given !== 'string' || given === '') throw new Error(`a ${String(node.type)} has no name`)
  const dot = given.lastIndexOf('.')
  const declared = dot >= 0 ? given.slice(0, dot) : typeof namespace === 'string' ? namespace : enclosing
  const space = declared === '' ? undefined : declared
  const name = given.slice(dot + 1)
  const written = space === enclosing ? { name } : { name, namespace: space ?? '' }
  return { name, space, written }
}

/** A name inside its own namespace is written short. */
function reference(name: string, space: string | undefined): string {
  const dot = name.lastIndexOf('.')
  return dot >= 0 && name.slice(0, dot) === space ? name.slice(dot + 1) : name
}

const pick = (node: JsonObject, attribute: string): object =>
  attribute in node ? { [attribute]: node[attribute] } : {}

function custom(node: JsonObject, kind: keyof typeof RESERVED): object {
  const reserved: readonly string[] = RESERVED[kind]
  return Object.fromEntries(Object.entries(node).filter(([attribute]) => !reserved.includes(attribute)))
}
