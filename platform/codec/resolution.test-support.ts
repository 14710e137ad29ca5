// Writers' schemas and values, generated: for each field of a Reading any type that resolves or does not, unions in any
// order, and further fields of every Avro type, nested and recursive. With them what avsc makes of the same: per record
// by the branch that was written, since Avro refuses a branch without a counterpart only when it is met.
import avsc from 'avsc'
import fc from 'fast-check'
import { loadSchema } from '../../schemas/load.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { type Reading, readingType } from './reading.ts'

export type Type = string | readonly Type[] | { readonly type: string; readonly [attribute: string]: unknown }

export interface WrittenField {
  readonly name: string
  readonly type: Type
  /** Branch that the value takes; -1: the type is no union. */
  readonly branch: number
  readonly value: unknown
}

export interface Written {
  readonly schema: {
    readonly type: 'record'
    readonly name: 'Reading'
    readonly namespace: string
    readonly fields: readonly { name: string; type: Type }[]
  }
  readonly bytes: Buffer
  readonly fields: readonly WrittenField[]
}

/** Fresh ones each time: avsc keeps the names that it has met in them. */
const options = () => ({ wrapUnions: 'always' as const, logicalTypes: {} })
const reader = loadSchema('reading')
const IDS = ['tenant_id', 'site_id', 'node_id', 'sensor_id']
const PRIMITIVES = ['null', 'boolean', 'int', 'long', 'float', 'double', 'string', 'bytes']

type Draw = (below: number) => number
const pick = <T>(draw: Draw, from: readonly T[]): T => from[draw(from.length)]

let names = 0
const freshName = (): string => `N${(names += 1)}`

/** Any type, two levels deep; records may refer to themselves. */
function anyType(draw: Draw, depth = 2): Type {
  const kind = draw(depth > 0 ? 14 : 8)
  if (kind < 8) return PRIMITIVES[kind]
  switch (kind) {
    case 8:
      return {
        type: 'enum',
        name: freshName(),
        symbols: ['A', 'B', 'C'].slice(draw(3)),
        ...(draw(2) ? { default: 'C' } : {}),
      }
    case 9:
      return { type: 'fixed', name: freshName(), size: draw(20) + 1 }
    case 10:
      return { type: 'array', items: anyType(draw, depth - 1) }
    case 11:
      return { type: 'map', values: anyType(draw, depth - 1) }
    case 12:
      return unionOf(
        draw,
        Array.from({ length: 1 + draw(3) }, () => anyType(draw, depth - 1)),
      )
    default: {
      const name = freshName()
      const fields = Array.from({ length: draw(3) }, (_, i) => ({ name: `f${i}`, type: anyType(draw, depth - 1) }))
      return {
        type: 'record',
        name,
        fields: [...fields, { name: 'next', type: pick<Type>(draw, [['null', name], { type: 'array', items: name }]) }],
      }
    }
  }
}

const kindOf = (type: Type): string =>
  typeof type === 'string' ? type : Array.isArray(type) ? 'union' : (type as { type: string }).type

/** A union has one branch of each kind, and no union. */
function unionOf(draw: Draw, types: readonly Type[]): Type {
  const kinds = new Map(types.filter((type) => kindOf(type) !== 'union').map((type) => [kindOf(type), type]))
  if (kinds.size === 0) return 'null'
  const branches = [...kinds.values()]
  const turn = draw(branches.length)
  return [...branches.slice(turn), ...branches.slice(0, turn)]
}

/** Types for a field of ours: mostly such that resolve, some that do not, some unions of both. */
function typeFor(name: string, draw: Draw): Type {
  const good: Type[] = IDS.includes(name)
    ? ['string', 'bytes']
    : name === 'tags'
      ? [{ type: 'map', values: pick<Type>(draw, ['string', 'bytes', ['string', 'bytes'], ['null', 'string']]) }]
      : name === 'erase'
        ? [{ type: 'array', items: pick<Type>(draw, ['string', 'bytes']) }]
        : ['epoch', 'seq', 'ts'].includes(name)
          ? ['long', 'int']
          : name === 'mono_ms'
            ? ['double', 'float', 'long', 'int']
            : ['double', 'float', 'long', 'int', 'null']
  const choice = draw(20)
  if (choice < 12) return pick(draw, good)
  if (choice < 19)
    return unionOf(draw, [pick(draw, good), pick(draw, good), anyType(draw, 1), ...(draw(2) ? ['null'] : [])])
  return anyType(draw, 1)
}

function valueOf(type: Type, draw: Draw, named: Map<string, Type>, depth = 4): unknown {
  if (typeof type === 'string' && named.has(type)) return valueOf(named.get(type)!, draw, named, depth - 1)
  if (Array.isArray(type)) {
    const branches = type as readonly Type[]
    // At the bottom of a recursion the branch that ends it.
    const at = depth <= 0 ? Math.max(0, branches.indexOf('null')) : draw(branches.length)
    return wrapped(branches[at], valueOf(branches[at], draw, named, depth))
  }
  if (typeof type !== 'string') {
    const { name, symbols, size, items, values, fields } = type as unknown as {
      name: string
      symbols: string[]
      size: number
      items: Type
      values: Type
      fields: { name: string; type: Type }[]
    }
    const count = depth <= 0 ? 0 : draw(4)
    switch (kindOf(type)) {
      case 'enum':
        return pick(draw, symbols)
      case 'fixed':
        return Buffer.alloc(size, draw(256))
      case 'array':
        return Array.from({ length: count }, () => valueOf(items, draw, named, depth - 1))
      case 'map':
        return Object.fromEntries(
          Array.from({ length: count }, (_, i) => [`k${i}`, valueOf(values, draw, named, depth - 1)]),
        )
      case 'record':
        named.set(name, type)
        return Object.fromEntries(fields.map((field) => [field.name, valueOf(field.type, draw, named, depth - 1)]))
    }
  }
  switch (type) {
    case 'null':
      return null
    case 'boolean':
      return draw(2) === 0
    case 'string':
      return pick(draw, ['', 'a', 'ä'.repeat(draw(80)), '測💡', 'x'.repeat(draw(200))])
    case 'bytes':
      return Buffer.from(pick(draw, ['', 'a', 'ä'.repeat(draw(80)), '測💡']))
    case 'int':
      return draw(2 ** 31) - 2 ** 30
    case 'long':
      return (draw(2 ** 31) - 2 ** 30) * draw(2 ** 20) + 0 // a long has no -0
    case 'float':
      return Math.fround((draw(2 ** 31) - 2 ** 30) / 1024)
    default:
      return (draw(2 ** 31) - 2 ** 30) / 7
  }
}

function wrapped(branch: Type, value: unknown): unknown {
  if (branch === 'null') return null
  const name = typeof branch === 'string' ? branch : ((branch as { name?: string }).name ?? kindOf(branch))
  return { [NAMED.test(name) ? `plumbline.${name}` : name]: value }
}
const NAMED = /^N\d+$/

export const written: fc.Arbitrary<Written> = fc.infiniteStream(fc.nat(2 ** 31 - 1)).map((stream) => {
  const draw: Draw = (below) => (stream.next().value as number) % below
  const present = reader.fields.filter(({ name }) => ['tenant_id', 'sensor_id', 'ts'].includes(name) || draw(6) > 0)
  const added = Array.from({ length: draw(4) }, (_, i) => ({ name: `added_${i}`, type: anyType(draw) }))
  const fields = [...present.map(({ name }) => ({ name, type: typeFor(name, draw) })), ...added]
  const ranks = new Map(fields.map((field) => [field, draw(2 ** 20)]))
  fields.sort((a, b) => ranks.get(a)! - ranks.get(b)!)
  const all = fields.map(({ name, type }): WrittenField => {
    const branches = Array.isArray(type) ? (type as readonly Type[]) : null
    const branch = branches === null ? -1 : draw(branches.length)
    return { name, type, branch, value: valueOf(branches === null ? type : branches[branch], draw, new Map()) }
  })
  const schema = { type: 'record', name: 'Reading', namespace: 'plumbline', fields } as const
  const record = Object.fromEntries(
    all.map(({ name, type, branch, value }) => [
      name,
      branch < 0 ? value : wrapped((type as readonly Type[])[branch], value),
    ]),
  )
  return {
    schema,
    fields: all,
    bytes: avsc.Type.forSchema(schema as unknown as avsc.Schema, options()).toBuffer(record),
  }
})

const writerOf = (fields: readonly { name: string; type: Type }[]): avsc.Type =>
  avsc.Type.forSchema(
    { type: 'record', name: 'Reading', namespace: 'plumbline', fields } as unknown as avsc.Schema,
    options(),
  )

function resolverFor(fields: readonly { name: string; type: Type }[]): [avsc.Type, avsc.Resolver] | null {
  const writer = writerOf(fields)
  try {
    return [writer, readingType.createResolver(writer)]
  } catch {
    return null
  }
}

const REQUIRED = ['tenant_id', 'sensor_id', 'ts'].map((name) => ({ name, type: name === 'ts' ? 'long' : 'string' }))

/** Whether avsc can resolve this field of a writer when it has this one type. */
export const resolves = (name: string, type: Type): boolean =>
  resolverFor([...REQUIRED.filter((field) => field.name !== name), { name, type }]) !== null

/** Per field, the types that a value of it may have; of tags, those of its values. */
export function branchesOf({ name, type }: { name: string; type: Type }): Type[] {
  const branches = Array.isArray(type) ? [...(type as readonly Type[])] : [type]
  if (name !== 'tags') return branches
  return branches.flatMap((branch) => {
    const values = kindOf(branch) === 'map' ? (branch as unknown as { values: Type }).values : null
    return Array.isArray(values) ? values.map((one: Type): Type => ({ type: 'map', values: one })) : [branch]
  })
}

/** The reading that avsc makes of it; null where it refuses the record. */
export function byAvsc({ fields }: Written): Reading | null {
  const effective: { name: string; type: Type; value: unknown }[] = []
  for (const { name, type, branch, value } of fields) {
    const taken = branch < 0 ? type : (type as readonly Type[])[branch]
    const values = name === 'tags' && kindOf(taken) === 'map' ? (taken as unknown as { values: Type }).values : null
    if (!Array.isArray(values)) {
      effective.push({ name, type: taken, value })
      continue
    }
    // Values of tags that are in unions: text if all are text, else there is no counterpart.
    const tags = Object.entries(value as Record<string, Record<string, unknown> | null>)
    if (tags.some(([, tag]) => tag === null)) return null
    const texts = tags.map(([key, tag]) => [key, String(Object.values(tag!)[0])])
    effective.push({ name, type: { type: 'map', values: 'string' }, value: Object.fromEntries(texts) })
  }
  const found = resolverFor(effective)
  if (found === null) return null
  const [writer, resolver] = found
  const bytes = writer.toBuffer(Object.fromEntries(effective.map(({ name, value }) => [name, value])))
  const reading = readingType.fromBuffer(bytes, resolver) as Reading
  return {
    ...reading,
    tags: { ...reading.tags },
    ...Object.fromEntries(METRICS.map(({ name }) => [name, reading[name]])),
  }
}
