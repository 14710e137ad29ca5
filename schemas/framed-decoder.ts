// Decodes values in Confluent's framing by the schema they were written with, so that a newer version of Plumbline reads
// what an older one has left. For topics with few records: what is hot has decoders of its own.
import avsc from 'avsc'
import { PlumblineError } from '../platform/errors.ts'
import { loadSchema } from './load.ts'
import type { FetchSchema } from './register.ts'

const FRAME_BYTES = 5
/** Versions of one schema that are met in one log. */
const RESOLVERS_MAX = 100

/** The value cannot be read: it is no framed record, or the registry does not know its schema. */
export class DecodeError extends PlumblineError {}

export class FramedDecoder<T> {
  readonly #type: avsc.Type
  readonly #fetchSchema: FetchSchema
  readonly #resolvers = new Map<number, Parameters<avsc.Type['fromBuffer']>[1]>()

  /** @param schema a file of schemas/, without its ending */
  constructor(schema: string, fetchSchema: FetchSchema) {
    this.#type = avsc.Type.forSchema(loadSchema(schema) as unknown as avsc.Schema, { logicalTypes: {} })
    this.#fetchSchema = fetchSchema
  }

  /** @throws DecodeError NOT_FRAMED, SCHEMA_UNKNOWN, UNREADABLE; RegistryError while the registry cannot be reached */
  async decode(value: Buffer): Promise<T> {
    if (value.length < FRAME_BYTES || value[0] !== 0)
      throw new DecodeError('NOT_FRAMED', 'the value does not begin with a schema id')
    const resolver = await this.#resolverOf(value.readUInt32BE(1))
    try {
      return this.#type.fromBuffer(value.subarray(FRAME_BYTES), resolver) as T
    } catch (error) {
      throw new DecodeError('UNREADABLE', 'the value does not fit its schema', { cause: error })
    }
  }

  async #resolverOf(id: number): Promise<Parameters<avsc.Type['fromBuffer']>[1]> {
    const known = this.#resolvers.get(id)
    if (known !== undefined) return known
    const text = await this.#fetchSchema(id)
    if (text === null) throw new DecodeError('SCHEMA_UNKNOWN', `the registry does not know schema id ${id}`)
    if (this.#resolvers.size >= RESOLVERS_MAX) this.#resolvers.clear()
    const resolver = this.#type.createResolver(avsc.Type.forSchema(JSON.parse(text) as avsc.Schema))
    this.#resolvers.set(id, resolver)
    return resolver
  }
}
