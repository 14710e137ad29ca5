// Which schema ids a task understands. The registry is asked once per id and process; an id that it does not know is
// refused for a while. Such a refusal is a decision that a replay must repeat, although the registry may have learnt
// the id since: the task keeps it, with the offset from which the id was accepted, beside its committed offset.
import { readingSchema } from '../../../platform/codec/reading-decoder.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'

/** How long an id unknown to the registry is not looked up again, ms. */
const REFUSAL_MS = 30_000
/** Refused ids that are remembered; known ones are as many as the registry has for readings. */
const REFUSED_MAX = 1_000
/** Concurrent requests to the registry, per partition. */
const LOOKUPS_AT_A_TIME = 8

/** Asks the registry for a schema's text; null: there is no such id. Rejects while the registry cannot be reached. */
export type FetchSchema = (id: number) => Promise<string | null>

export class SchemaPlans {
  readonly #known = new Map<number, ScanPlan>()
  readonly #refused = new Map<number, { readonly untilMs: number; readonly why: string }>()
  readonly #fetch: FetchSchema
  readonly #mono: () => number

  constructor(fetch: FetchSchema, mono: () => number) {
    this.#fetch = fetch
    this.#mono = mono
  }

  /** The schema; null when it is refused at the moment; undefined when the registry must be asked. */
  get(id: number): ScanPlan | null | undefined {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const refused = this.#refused.get(id)
    return refused !== undefined && this.#mono() < refused.untilMs ? null : undefined
  }

  /** Why records of a refused id cannot be read: the field, or that the registry does not know the id. */
  whyRefused(id: number): string {
    return this.#refused.get(id)?.why ?? 'it was refused before'
  }

  /** Asks for several ids, a few at a time; rejects while the registry cannot be reached. */
  async learnAll(ids: Iterable<number>): Promise<void> {
    const rest = [...ids]
    const ask = async (): Promise<void> => {
      for (let id = rest.pop(); id !== undefined; id = rest.pop()) await this.learn(id)
    }
    await Promise.all(Array.from({ length: Math.min(LOOKUPS_AT_A_TIME, rest.length) }, ask))
  }

  /** Asks the registry; afterwards `get` answers. Rejects while the registry cannot be reached. */
  async learn(id: number): Promise<void> {
    const schema = readingSchema(await this.#fetch(id))
    if ('plan' in schema) {
      this.#known.set(id, schema.plan)
      return
    }
    this.#refused.delete(id)
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size < REFUSED_MAX) break
      this.#refused.delete(oldest)
    }
    this.#refused.set(id, { untilMs: this.#mono() + REFUSAL_MS, why: schema.refused })
  }
}

/** Refused ids that one task may have met since its last snapshot; more bring the next snapshot forward. */
export const REFUSALS_MAX = 64

/** What one task decided about ids since its last snapshot. */
export class Refusals {
  /** Id → offset from which it is accepted; Infinity while it is refused. */
  readonly #acceptedFrom: Map<number, number>

  constructor(entries: Iterable<readonly [number, number]> = []) {
    this.#acceptedFrom = new Map(entries)
  }

  get size(): number {
    return this.#acceptedFrom.size
  }

  /** A new decision, for a record that is read for the first time. */
  decide(id: number, offset: number, known: ScanPlan | null): ScanPlan | null {
    const from = this.#acceptedFrom.get(id)
    if (known === null) {
      if (from !== Infinity) this.#acceptedFrom.set(id, Infinity)
      return null
    }
    if (from === Infinity) this.#acceptedFrom.set(id, offset)
    return known
  }

  /** Whether a record was refused when it was first read. */
  wasRefused(id: number, offset: number): boolean {
    return offset < (this.#acceptedFrom.get(id) ?? 0)
  }

  /** Forgets everything: no record read so far will be read again. */
  clear(): void {
    this.#acceptedFrom.clear()
  }

  /** For the offset's metadata: id and offset, -1 for an id that is still refused. */
  entries(): [number, number][] {
    return [...this.#acceptedFrom].map(([id, from]) => [id, from === Infinity ? -1 : from])
  }

  static fromEntries(entries: readonly (readonly [number, number])[]): Refusals {
    return new Refusals(entries.map(([id, from]) => [id, from < 0 ? Infinity : from]))
  }
}
