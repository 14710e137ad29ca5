// How to read as a Reading what another schema has written: Avro's rules of resolution, worked out once per writer's
// schema. Fields are matched by name or by our aliases, numbers are promoted, bytes are read as text, branches of unions
// may be in any order, and what our schema does not have is passed over. A branch that has no counterpart (an id that is
// null) is refused record by record; a field of which no branch has one, or that is missing without a default, refuses
// the schema, by name. Two things go beyond Avro: the record may have any name, and a unit of `ts` is converted.
import { loadSchema } from '../../schemas/load.ts'
import { METRICS } from '../../schemas/metrics.ts'
import { type AvroNode, parseSchema, typeText, UnsupportedSchema } from './avro-schema.ts'
import type { ReadingScanner } from './reading-scanner.ts'
import { blocks, branchStep, Skips, type Step } from './reading-skip.ts'

/** Usual fields are read in place, by operation codes: a call per field would cost more than the reading itself. */
export const OP = {
  step: 0,
  text: 1,
  epoch: 2,
  seq: 3,
  ts: 4,
  mono: 5,
  metric: 6,
  nullableMetric: 7,
  tags: 8,
  skipText: 9,
} as const

/** What to do for each field of one writer's schema, in its order. */
export interface ScanPlan {
  readonly operations: Int32Array
  /** The id's or the metric's index that the operation is about. */
  readonly targets: Int32Array
  /** What OP.step calls. */
  readonly steps: readonly Step[]
}

/** Indexes of the ids in the scanner's places. */
export const TENANT = 0
export const SITE = 1
export const NODE = 2
export const SENSOR = 3
const ID_INDEX: Readonly<Record<string, number>> = {
  tenant_id: TENANT,
  site_id: SITE,
  node_id: NODE,
  sensor_id: SENSOR,
}
const METRIC_INDEX = new Map(METRICS.map((metric, index) => [metric.name, index]))
const READER = loadSchema('reading').fields.map((field) => ({
  name: field.name,
  aliases: Array.isArray(field.aliases) ? (field.aliases as string[]) : [],
  hasDefault: 'default' in field,
}))
/** Divisors to ms. */
const TIME_UNITS: Readonly<Record<string, number>> = {
  'timestamp-millis': 1,
  'timestamp-micros': 1_000,
  'timestamp-nanos': 1_000_000,
}
/** Times that name no instant, or no time at all. */
const NO_INSTANT = /^(date|duration|decimal|time-|local-timestamp-)/

interface Operation {
  readonly operation: number
  readonly target: number
  readonly step: Step
}

const nothing: Step = () => undefined
const operationOf = (operation: number, target = 0): Operation => ({ operation, target, step: nothing })

/**
 * @param schema the writer's, as parsed JSON
 * @throws UnsupportedSchema naming the field
 */
export function planScan(schema: unknown): ScanPlan {
  const writer = parseSchema(schema)
  if (writer.kind !== 'record') throw new UnsupportedSchema(`a Reading is a record, not ${typeText(writer)}`)
  const written = new Set(writer.fields.map(({ name }) => name))
  const targets = new Map<string, string>()
  for (const { name, aliases, hasDefault } of READER) {
    const from = written.has(name) ? name : aliases.find((alias) => written.has(alias))
    if (from !== undefined) targets.set(from, name)
    else if (!hasDefault) throw new UnsupportedSchema(`${writer.name} is not a Reading: it has no ${name}`)
  }
  const skips = new Skips()
  const operations = writer.fields.map(({ name, type }) => {
    const target = targets.get(name)
    if (target !== undefined) return readField(target, type)
    if (type.kind === 'string') return operationOf(OP.skipText)
    return { operation: OP.step, target: 0, step: skips.stepOf(type) }
  })
  return {
    operations: Int32Array.from(operations, ({ operation }) => operation),
    targets: Int32Array.from(operations, ({ target }) => target),
    steps: operations.map(({ step }) => step),
  }
}

function readField(field: string, type: AvroNode): Operation {
  const metric = METRIC_INDEX.get(field)
  if (metric !== undefined) return readMetric(field, metric, type)
  const id = ID_INDEX[field]
  if (id !== undefined) {
    if (type.kind === 'string') return operationOf(OP.text, id)
    return stepFor(field, type, 'a string', (node) => (isText(node) ? (s) => s.text(id) : null))
  }
  switch (field) {
    case 'epoch':
      if (type.kind === 'long') return operationOf(OP.epoch)
      return stepFor(field, type, 'a long', (node) => wholeStep(node, (s, value) => (s.epoch = value)))
    case 'seq':
      if (type.kind === 'long') return operationOf(OP.seq)
      return stepFor(field, type, 'a long', (node) => wholeStep(node, (s, value) => (s.seq = value)))
    case 'ts':
      if (type.kind === 'long' && (TIME_UNITS[type.logicalType ?? ''] ?? 1) === 1 && isInstant(type))
        return operationOf(OP.ts)
      return stepFor(field, type, 'a long of milliseconds', tsStep)
    case 'mono_ms':
      if (type.kind === 'double') return operationOf(OP.mono)
      return stepFor(field, type, 'a double', (node) => doubleStep(node, (s, value) => (s.monoMs = value)))
    case 'tags':
      if (type.kind === 'map' && type.values.kind === 'string') return operationOf(OP.tags)
      return stepFor(field, type, 'a map of strings', tagsStep)
    case 'erase':
      return stepFor(field, type, 'an array of strings', eraseStep)
    default:
      // A field that somebody has added to reading.avsc and that nothing here is told of.
      throw new Error(`reading.avsc has a field ${field} that is neither a metric nor known to the scanner`)
  }
}

function readMetric(field: string, index: number, type: AvroNode): Operation {
  if (type.kind === 'double') return operationOf(OP.metric, index)
  if (type.kind === 'union' && type.branches.length === 2) {
    const [first, second] = type.branches
    if (first.kind === 'null' && second.kind === 'double') return operationOf(OP.nullableMetric, index)
  }
  return stepFor(field, type, 'a number or null', (node) =>
    node.kind === 'null' ? nothing : doubleStep(node, (s, value) => s.setMetric(index, value)),
  )
}

/** @param read the step for a type that is no union; null where it does not resolve */
function stepFor(field: string, type: AvroNode, wanted: string, read: (node: AvroNode) => Step | null): Operation {
  return { operation: OP.step, target: 0, step: resolve(field, type, wanted, read) }
}

function resolve(field: string, type: AvroNode, wanted: string, read: (node: AvroNode) => Step | null): Step {
  const branches = type.kind === 'union' ? type.branches : [type]
  const steps = branches.map(read)
  if (steps.every((step) => step === null))
    throw new UnsupportedSchema(`${field} has the type ${typeText(type)}; it must be ${wanted}`)
  if (type.kind !== 'union') return steps[0]!
  return branchStep(
    steps.map((step, i) => {
      const problem = `${field} is ${typeText(branches[i])}; it must be ${wanted}`
      return step ?? ((s) => s.refuse(problem))
    }),
  )
}

const isText = ({ kind }: AvroNode): boolean => kind === 'string' || kind === 'bytes'

function wholeStep({ kind }: AvroNode, set: (s: ReadingScanner, value: number) => void): Step | null {
  if (kind === 'long') return (s) => set(s, s.long())
  return kind === 'int' ? (s) => set(s, s.int()) : null
}

function doubleStep(node: AvroNode, set: (s: ReadingScanner, value: number) => void): Step | null {
  if (node.kind === 'double') return (s) => set(s, s.double())
  return node.kind === 'float' ? (s) => set(s, s.float()) : wholeStep(node, set)
}

function isInstant(node: AvroNode): boolean {
  const logicalType = 'logicalType' in node ? node.logicalType : null
  return logicalType === null || !NO_INSTANT.test(logicalType)
}

function tsStep(node: AvroNode): Step | null {
  if (!isInstant(node)) return null
  const divisor = node.kind === 'long' ? (TIME_UNITS[node.logicalType ?? ''] ?? 1) : 1
  if (divisor !== 1) return (s) => (s.ts = s.dividedLong(divisor))
  return wholeStep(node, (s, value) => (s.ts = value))
}

function tagsStep(node: AvroNode): Step | null {
  if (node.kind !== 'map') return null
  const value = resolve('a value of tags', node.values, 'a string', (type) =>
    isText(type) ? (s) => s.tagValue() : null,
  )
  return blocks((s) => {
    s.tagName()
    value(s)
  })
}

function eraseStep(node: AvroNode): Step | null {
  if (node.kind !== 'array') return null
  return blocks(
    resolve('an item of erase', node.items, 'a string', (type) => (isText(type) ? (s) => s.erased() : null)),
  )
}
