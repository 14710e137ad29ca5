// A writer's schema as a tree: references by name are resolved (a recursive record refers to itself), and what a plan
// does not need is left away. Anybody can register a schema, so depth and size are bounded and every mistake is one
// error that names the place. Parsed here and not by avsc, whose types keep neither unions nor logical types as written.

export type Primitive = 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'string' | 'bytes'

export type AvroNode =
  | { readonly kind: Primitive; readonly logicalType: string | null }
  | { readonly kind: 'fixed'; readonly name: string; readonly size: number }
  | { readonly kind: 'enum'; readonly name: string; readonly symbols: number }
  | { readonly kind: 'array'; readonly items: AvroNode }
  | { readonly kind: 'map'; readonly values: AvroNode }
  | { readonly kind: 'union'; readonly branches: readonly AvroNode[] }
  | RecordNode

export interface RecordNode {
  readonly kind: 'record'
  readonly name: string
  readonly fields: readonly { readonly name: string; readonly type: AvroNode }[]
}

/** The schema cannot be read as a Reading; the message names the field. */
export class UnsupportedSchema extends Error {}

/** Levels of types within types. */
const DEPTH_MAX = 100
/** Types in one schema, references included. */
const NODES_MAX = 20_000
const PRIMITIVES: ReadonlySet<unknown> = new Set<Primitive>([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'string',
  'bytes',
])

type Json = Readonly<Record<string, unknown>>

/**
 * @param schema parsed JSON
 * @throws UnsupportedSchema
 */
export const parseSchema = (schema: unknown): AvroNode => new Parser().node(schema, '', 'the schema', 0)

/** The type as people write it, for messages. */
export function typeText(node: AvroNode): string {
  switch (node.kind) {
    case 'union':
      return `union of ${node.branches.length === 0 ? 'nothing' : node.branches.slice(0, 5).map(typeText).join(', ')}`
    case 'record':
    case 'enum':
    case 'fixed':
      return `${node.kind} ${node.name.slice(0, 60)}`
    case 'array':
    case 'map':
      return node.kind
    default:
      return node.logicalType === null ? node.kind : `${node.kind} (${node.logicalType.slice(0, 60)})`
  }
}

class Parser {
  readonly #named = new Map<string, AvroNode>()
  #nodes = 0

  node(schema: unknown, namespace: string, place: string, depth: number): AvroNode {
    this.#nodes += 1
    if (depth > DEPTH_MAX) throw new UnsupportedSchema(`${place} has more than ${DEPTH_MAX} levels of types`)
    if (this.#nodes > NODES_MAX) throw new UnsupportedSchema(`the schema has more than ${NODES_MAX} types`)
    if (typeof schema === 'string') return this.#reference(schema, namespace, place, null)
    if (Array.isArray(schema)) {
      const branches = schema.map((branch: unknown) => this.node(branch, namespace, place, depth + 1))
      return { kind: 'union', branches }
    }
    if (typeof schema !== 'object' || schema === null) throw new UnsupportedSchema(`${place} has no type`)
    return this.#complex(schema as Json, namespace, place, depth)
  }

  #complex(schema: Json, namespace: string, place: string, depth: number): AvroNode {
    switch (schema.type) {
      case 'record':
      case 'error':
        return this.#record(schema, namespace, depth)
      case 'enum': {
        const name = fullName(schema, namespace, place)
        if (!Array.isArray(schema.symbols)) throw new UnsupportedSchema(`enum ${name} has no symbols`)
        return this.#define(name, { kind: 'enum', name, symbols: schema.symbols.length })
      }
      case 'fixed': {
        const name = fullName(schema, namespace, place)
        const size = schema.size
        if (typeof size !== 'number' || !Number.isInteger(size) || size < 0)
          throw new UnsupportedSchema(`fixed ${name} has no size`)
        return this.#define(name, { kind: 'fixed', name, size })
      }
      case 'array':
        return { kind: 'array', items: this.node(schema.items, namespace, place, depth + 1) }
      case 'map':
        return { kind: 'map', values: this.node(schema.values, namespace, place, depth + 1) }
      default:
        if (typeof schema.type !== 'string') return this.node(schema.type, namespace, place, depth + 1)
        return this.#reference(schema.type, namespace, place, schema.logicalType)
    }
  }

  #record(schema: Json, namespace: string, depth: number): AvroNode {
    const name = fullName(schema, namespace, 'a record')
    if (!Array.isArray(schema.fields)) throw new UnsupportedSchema(`record ${name} has no fields`)
    const fields: { name: string; type: AvroNode }[] = []
    // Before its fields: they may refer to it.
    const node = this.#define(name, { kind: 'record', name, fields })
    const inner = name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : ''
    const names = new Set<string>()
    for (const field of schema.fields as readonly unknown[]) {
      const given = (typeof field === 'object' && field !== null ? field : {}) as Json
      if (typeof given.name !== 'string') throw new UnsupportedSchema(`record ${name} has a field without a name`)
      if (names.has(given.name)) throw new UnsupportedSchema(`record ${name} has two fields ${given.name}`)
      names.add(given.name)
      fields.push({ name: given.name, type: this.node(given.type, inner, given.name, depth + 1) })
    }
    return node
  }

  #reference(type: string, namespace: string, place: string, logicalType: unknown): AvroNode {
    if (PRIMITIVES.has(type))
      return { kind: type as Primitive, logicalType: typeof logicalType === 'string' ? logicalType : null }
    const named = this.#named.get(namespace === '' ? type : `${namespace}.${type}`) ?? this.#named.get(type)
    if (named !== undefined) return named
    throw new UnsupportedSchema(`${place} has type ${JSON.stringify(type.slice(0, 60))}, which is not defined`)
  }

  #define<T extends AvroNode>(name: string, node: T): T {
    if (this.#named.has(name)) throw new UnsupportedSchema(`${name} is defined twice`)
    this.#named.set(name, node)
    return node
  }
}

function fullName(schema: Json, namespace: string, place: string): string {
  const { name } = schema
  if (typeof name !== 'string' || name === '') throw new UnsupportedSchema(`${place} has a type without a name`)
  if (name.includes('.')) return name
  const own = typeof schema.namespace === 'string' ? schema.namespace : namespace
  return own === '' ? name : `${own}.${name}`
}
