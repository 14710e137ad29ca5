// The registry of a run: the declared schemas under fixed ids, and those of other writers once these have registered them.
// It knows nothing else, so that an arbitrary id in a record is unknown to it, and it may be unreachable for a while.
import avsc from 'avsc'
import { RegistryError } from '../platform/codec/register.ts'
import { FRAME_BYTES, type Reading, readingType } from '../platform/codec/reading.ts'
import { schemaText } from '../schemas/load.ts'
import { RAW, TOPICS } from '../schemas/topics.ts'

/** An id that is never registered. */
export const UNKNOWN_SCHEMA_ID = 999_999

const TEXTS = new Map<number, string>()
const IDS = new Map<string, number>()
for (const { name, schema } of TOPICS) {
  if (schema === null) continue
  IDS.set(name, IDS.size + 1)
  TEXTS.set(IDS.size, schemaText(schema))
}

/** Schema ids by declared topic. */
export const SCHEMA_IDS: ReadonlyMap<string, number> = IDS

/** A schema that readings are written with. */
export interface Writer {
  readonly id: number
  readonly type: avsc.Type
}

interface Field {
  readonly name: string
  readonly type: unknown
  readonly default?: unknown
}
interface RecordSchema {
  readonly fields: readonly Field[]
}

/** The declared one: of our producers, and of others until they change it. */
export const DECLARED: Writer = { id: IDS.get(RAW)!, type: readingType }
const FIRST_OTHER_ID = 1_001
const REMOVED = new Set(['mono_ms', 'tags', 'erase', 'power_w', 'humidity_pct'])
const NARROWER = new Map<string, unknown>([
  ['epoch', 'int'],
  ['seq', 'int'],
  ['mono_ms', 'int'],
])

/** What other versions of the schema may look like, all compatible with the declared one. */
const CHANGES: readonly ((fields: readonly Field[]) => Field[])[] = [
  (fields) => [
    { name: 'firmware', type: ['null', 'string'], default: null },
    ...fields.slice(0, 5),
    { name: 'calibration', type: { type: 'array', items: 'double' }, default: [] },
    ...fields.slice(5),
  ],
  (fields) => fields.filter(({ name }) => !REMOVED.has(name)),
  (fields) => [...fields].reverse(),
  (fields) => fields.map((field) => ({ ...field, type: NARROWER.get(field.name) ?? field.type })),
]

const OTHER_TEXTS = new Map<number, string>()

function writerOf(id: number, change: (fields: readonly Field[]) => Field[]): Writer {
  const declared = JSON.parse(schemaText('reading')) as RecordSchema
  const schema = { ...declared, fields: change(declared.fields) }
  OTHER_TEXTS.set(id, JSON.stringify(schema))
  return { id, type: avsc.Type.forSchema(schema as unknown as avsc.Schema, { logicalTypes: {} }) }
}

/** The other writers' schemas. */
export const OTHERS: readonly Writer[] = CHANGES.map((change, i) => writerOf(FIRST_OTHER_ID + i, change))
/** Without event time: nothing written by it is a reading. */
export const INCOMPATIBLE = writerOf(FIRST_OTHER_ID - 1, (fields) => fields.filter(({ name }) => name !== 'ts'))
const RESOLVERS = new Map(OTHERS.map(({ id, type }) => [id, readingType.createResolver(type)]))

/** The reading in a framed value, by the schema that it was written with. */
export const readingIn = (value: Buffer): Reading =>
  readingType.fromBuffer(value.subarray(FRAME_BYTES), RESOLVERS.get(value.readInt32BE(1))) as Reading

export class SimRegistry {
  isAway = false
  readonly #registered = new Set<number>()

  readonly fetchSchema = async (id: number): Promise<string | null> => {
    if (this.isAway) throw new RegistryError('REGISTRY_UNREACHABLE', 'away on purpose', { retriable: true })
    return TEXTS.get(id) ?? (this.#registered.has(id) ? OTHER_TEXTS.get(id)! : null)
  }

  /** As a producer does before it writes by a schema; false: the registry is away. */
  register({ id }: Writer): boolean {
    if (this.isAway) return false
    this.#registered.add(id)
    return true
  }
}
