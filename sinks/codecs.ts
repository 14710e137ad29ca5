// Schema ids to codecs. Decoders are cached; an unknown or unreadable id is not, since it may be
// registered a moment later, and garbage bytes can name arbitrary ids.
import { LRUCache } from 'lru-cache'
import type { FetchSchema } from '../platform/codec/register.ts'
import type { Codec } from './core/decode.ts'

/** More writer schemas than one topic will ever see. */
const REMEMBERED = 1_000

export class Codecs<T> {
  readonly #known = new LRUCache<number, Codec<T>>({ max: REMEMBERED })
  readonly #fetchSchema: FetchSchema
  readonly #make: (text: string | null) => Codec<T>

  constructor(fetchSchema: FetchSchema, make: (text: string | null) => Codec<T>) {
    this.#fetchSchema = fetchSchema
    this.#make = make
  }

  /** A codec for every id. Rejects while the registry cannot be reached. */
  async learn(ids: ReadonlySet<number>): Promise<Map<number, Codec<T>>> {
    const codecs = new Map<number, Codec<T>>()
    for (const id of ids) {
      const codec = this.#known.get(id) ?? this.#make(await this.#fetchSchema(id))
      if ('decode' in codec) this.#known.set(id, codec)
      codecs.set(id, codec)
    }
    return codecs
  }
}
