// Readings as objects, and what a schema id stands for: one place for the sink, the replicas, the export and whatever
// else reads readings, with the scanner and the plans that refine has. So what refine lets through everybody can read,
// and what it refuses as undecodable nobody can.
import { LRUCache } from 'lru-cache'
import { METRICS } from '../../schemas/metrics.ts'
import { messageOf } from '../errors.ts'
import { DecodeError, idOf } from './framed-decoder.ts'
import { FRAME_BYTES, type Reading } from './reading.ts'
import { NODE, planScan, type ScanPlan, SENSOR, SITE, TENANT } from './reading-plan.ts'
import { ReadingScanner, TAG_STRIDE } from './reading-scanner.ts'
import type { FetchSchema } from './register.ts'

/** As many writers' schemas as one topic will meet. */
const PLANS_MAX = 1_000

/** What a schema id stands for: how to read its records, or why they cannot be read. */
export type ReadingSchema = { readonly plan: ScanPlan } | { readonly refused: string }

/** @param text the writer's schema as the registry has it; null: it has none of that id */
export function readingSchema(text: string | null): ReadingSchema {
  if (text === null) return { refused: 'the schema registry does not know it' }
  let schema: unknown
  try {
    schema = JSON.parse(text)
  } catch {
    return { refused: 'its schema is not JSON' }
  }
  try {
    return { plan: planScan(schema) }
  } catch (error) {
    // Whatever goes wrong is the schema's doing, and asking again gives the same.
    return { refused: messageOf(error) }
  }
}

/** Null where records of the schema cannot be read as Readings. */
export function planOrNull(text: string | null): ScanPlan | null {
  const schema = readingSchema(text)
  return 'plan' in schema ? schema.plan : null
}

/** Why the scan of a record failed, for people. */
export const scanProblem = ({ problem }: ReadingScanner, schemaId: number): string =>
  problem ?? `the bytes are not a Reading of schema id ${schemaId}`

/** The reading that was just scanned, as avsc would give it. @param bytes those that were scanned */
export function readingOf(scanner: ReadingScanner, bytes: Buffer): Reading {
  const { idAt, idLength, metrics, tags } = scanner
  const id = (index: number): string => bytes.toString('utf8', idAt[index], idAt[index] + idLength[index])
  const text = (places: Int32Array, at: number): string =>
    bytes.toString('utf8', places[at], places[at] + places[at + 1])
  const reading: Reading = {
    tenant_id: id(TENANT),
    site_id: id(SITE),
    node_id: id(NODE),
    sensor_id: id(SENSOR),
    epoch: scanner.epoch,
    seq: scanner.seq,
    ts: scanner.ts,
    mono_ms: scanner.monoMs,
    tags: {},
  }
  for (let i = 0; i < metrics.length; i += 1) {
    const value = metrics[i]
    reading[METRICS[i].name] = value === value ? value : null
  }
  for (let place = 0; place < scanner.tagCount * TAG_STRIDE; place += TAG_STRIDE) {
    const name = text(tags, place)
    const value = text(tags, place + 2)
    if (name === '__proto__') Object.defineProperty(reading.tags, name, { value, ...PLAIN_PROPERTY })
    else reading.tags[name] = value
  }
  const erased = Array.from({ length: scanner.eraseCount }, (_, i) => text(scanner.erase, 2 * i))
  return Object.assign(reading, { erase: erased })
}

const PLAIN_PROPERTY = { enumerable: true, writable: true, configurable: true }

/**
 * Decodes the body in [at, end).
 * @throws DecodeError UNREADABLE
 */
export function decodeReading(
  scanner: ReadingScanner,
  plan: ScanPlan,
  schemaId: number,
  bytes: Buffer,
  at: number,
  end: number,
): Reading {
  if (!scanner.scan(plan, bytes, at, end)) throw new DecodeError('UNREADABLE', scanProblem(scanner, schemaId))
  if (scanner.hasNaN) throw new DecodeError('UNREADABLE', `${METRICS[scanner.invalidMetric].name} is not a number`)
  return readingOf(scanner, bytes)
}

/** Decodes framed readings by the schemas that a registry has. */
export class ReadingDecoder {
  readonly #schemas = new LRUCache<number, ReadingSchema>({ max: PLANS_MAX })
  readonly #scanner = new ReadingScanner()
  readonly #fetchSchema: FetchSchema

  constructor(fetchSchema: FetchSchema) {
    this.#fetchSchema = fetchSchema
  }

  /** Asks for a schema, so that `decodeKnown` can do without. Rejects while the registry cannot be reached. */
  async learn(id: number): Promise<void> {
    if (this.#schemas.has(id)) return
    const text = await this.#fetchSchema(id)
    // What an id stands for never changes; that it is unknown may.
    if (text !== null) this.#schemas.set(id, readingSchema(text))
  }

  /** @throws DecodeError NOT_FRAMED, UNREADABLE, SCHEMA_UNFIT, SCHEMA_UNKNOWN where the schema was not learnt */
  decodeKnown(value: Buffer): Reading {
    const id = idOf(value)
    const schema = this.#schemas.get(id)
    if (schema === undefined) throw new DecodeError('SCHEMA_UNKNOWN', `schema id ${id} is not known`)
    if ('refused' in schema) throw new DecodeError('SCHEMA_UNFIT', `schema id ${id}: ${schema.refused}`)
    return decodeReading(this.#scanner, schema.plan, id, value, FRAME_BYTES, value.length)
  }
}
