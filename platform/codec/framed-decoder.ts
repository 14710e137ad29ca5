// Decodes values in Confluent's framing by the schema they were written with, so that a newer version of Plumbline reads
// what an older one has left. For topics with few records: what is hot has decoders of its own.
import avsc from 'avsc'
import { PlumblineError } from '../errors.ts'
import { loadSchema } from '../../schemas/load.ts'
import type { FetchSchema } from './register.ts'
import { schemaIdAt } from './framing.ts'
import { FRAME_BYTES } from './reading.ts'

/** Versions of one schema that are met in one log. */
const RESOLVERS_MAX = 100

type Resolver = Parameters<avsc.Type['fromBuffer']>[1]

/** The value cannot be read: it is no framed record, or its schema is unknown or another one's. */
export class DecodeError extends PlumblineError<'NOT_FRAMED' | 'SCHEMA_UNKNOWN' | 'SCHEMA_UNFIT' | 'UNREADABLE'> {}

export class FramedDecoder<T> {
  readonly #type: avsc.Type
  readonly #fetchSchema: FetchSchema
  readonly #resolvers = new Map<number, Resolver>()

  /** @param schema a file of schemas/, without its ending */
  constructor(schema: string, fetchSchema: FetchSchema) {
    this.#type = avsc.Type.forSchema(loadSchema(schema) as unknown as avsc.Schema, { logicalTypes: {} })
    this.#fetchSchema = fetchSchema
  }

  /** @throws DecodeError NOT_FRAMED, SCHEMA_UNKNOWN, SCHEMA_UNFIT, UNREADABLE; RegistryError while the registry cannot be reached */
  async decode(value: Buffer): Promise<T> {
    return this.#read(value, await this.#resolverOf(idOf(value)))
  }

  /**
   * Asks for a schema, so that `decodeKnown` can do without.
   * @throws DecodeError SCHEMA_UNKNOWN, SCHEMA_UNFIT; RegistryError while the registry cannot be reached
   */
  async learn(id: number): Promise<void> {
    await this.#resolverOf(id)
  }

  /** @throws DecodeError NOT_FRAMED, UNREADABLE, SCHEMA_UNKNOWN where the schema was not learnt */
  decodeKnown(value: Buffer): T {
    const id = idOf(value)
    const resolver = this.#resolvers.get(id)
    if (resolver === undefined) throw new DecodeError('SCHEMA_UNKNOWN', `schema id ${id} is not known`)
    return this.#read(value, resolver)
  }

  #read(value: Buffer, resolver: Resolver): T {
    try {
      return this.#type.fromBuffer(value.subarray(FRAME_BYTES), resolver) as T
    } catch (error) {
      throw new DecodeError('UNREADABLE', 'the value does not fit its schema', { cause: error })
    }
  }

  async #resolverOf(id: number): Promise<Resolver> {
    const known = this.#resolvers.get(id)
    if (known !== undefined) return known
    const text = await this.#fetchSchema(id)
    if (text === null) throw new DecodeError('SCHEMA_UNKNOWN', `the registry does not know schema id ${id}`)
    const resolver = this.#resolverFor(id, text)
    // The oldest goes, never what somebody has just learnt.
    if (this.#resolvers.size >= RESOLVERS_MAX) this.#resolvers.delete(this.#resolvers.keys().next().value!)
    this.#resolvers.set(id, resolver)
    return resolver
  }

  /** The registry has schemas of every topic, and those of others: a value may name any of them. */
  #resolverFor(id: number, text: string): Resolver {
    try {
      return this.#type.createResolver(avsc.Type.forSchema(JSON.parse(text) as avsc.Schema, { logicalTypes: {} }))
    } catch (error) {
      throw new DecodeError('SCHEMA_UNFIT', `schema id ${id} cannot be read as ${this.#type.name}`, { cause: error })
    }
  }
}

/** @throws DecodeError NOT_FRAMED */
export function idOf(value: Buffer): number {
  if (value.length >= FRAME_BYTES && value[0] === 0) return schemaIdAt(value, 0)
  throw new DecodeError('NOT_FRAMED', 'the value does not begin with a schema id')
}
