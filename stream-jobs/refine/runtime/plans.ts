// Which schema ids a task understands. The registry is asked once per id and process; an id that it does not know is
// refused for a while. Such a refusal is a decision that a replay must repeat, although the registry may have learnt
// the id since: the task keeps it, with the offset from which the id was accepted, beside its committed offset.
import { readingSchema } from '../../../platform/codec/reading-decoder.ts'
import { isUnknownGuid, type SchemaName, unknownGuidId } from '../../../platform/codec/framing.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import type { FetchSchema } from '../../../platform/codec/register.ts'

export type { FetchSchema }

/** How long an id unknown to the registry is not looked up again, ms. */
const REFUSAL_MS = 30_000
/** Refused ids that are remembered; known ones are as many as the registry has for readings. */
const REFUSED_MAX = 1_000
/** Concurrent requests to the registry, per partition. */
const LOOKUPS_AT_A_TIME = 8

export class SchemaPlans {
  readonly #known = new Map<number, ScanPlan>()
  readonly #idByGuid = new Map<string, number>()
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
    // It stands for a GUID that was refused just now; asking for it as an id would answer nothing.
    if (isUnknownGuid(id)) return null
    const refused = this.#refused.get(id)
    return refused !== undefined && this.#mono() < refused.untilMs ? null : undefined
  }

  /** The id for a GUID; one that stands for it while it is refused; undefined when the registry must be asked. */
  idOfGuid(guid: string): number | undefined {
    const known = this.#idByGuid.get(guid)
    if (known !== undefined) return known
    const id = unknownGuidId(guid)
    const refused = this.#refused.get(id)
    return refused !== undefined && this.#mono() < refused.untilMs ? id : undefined
  }

  /** Whether the registry must be asked about it, by id or GUID. */
  mustAsk(name: SchemaName): boolean {
    const id = 'id' in name ? name.id : this.idOfGuid(name.guid)
    return id === undefined || this.get(id) === undefined
  }

  /** Why records of a refused id cannot be read: the field, or that the registry does not know the id. */
  whyRefused(id: number): string {
    return this.#refused.get(id)?.why ?? (isUnknownGuid(id) ? 'no registry gives such an id' : 'it was refused before')
  }

  /** Asks for several schemas, a few at a time; rejects while the registry cannot be reached. */
  async learnAll(names: Iterable<SchemaName>): Promise<void> {
    const rest = [...names]
    const ask = async (): Promise<void> => {
      for (let name = rest.pop(); name !== undefined; name = rest.pop()) await this.learn(name)
    }
    await Promise.all(Array.from({ length: Math.min(LOOKUPS_AT_A_TIME, rest.length) }, ask))
  }

  /** Asks the registry; afterwards `get` or `idOfGuid` answers. Rejects while the registry cannot be reached. */
  async learn(name: SchemaName): Promise<void> {
    const id = 'id' in name ? name.id : await this.#learnGuid(name.guid)
    if (id === null || this.get(id) !== undefined) return
    const schema = readingSchema(await this.#fetch(id))
    if ('plan' in schema) this.#known.set(id, schema.plan)
    else this.#refuse(id, schema.refused)
  }

  async #learnGuid(guid: string): Promise<number | null> {
    const known = this.#idByGuid.get(guid)
    if (known !== undefined) return known
    const id = (await this.#fetch.idOfGuid?.(guid)) ?? null
    if (id === null) this.#refuse(unknownGuidId(guid), 'the schema registry does not know it')
    else this.#idByGuid.set(guid, id)
    return id
  }

  #refuse(id: number, why: string): void {
    this.#refused.delete(id)
    for (const oldest of this.#refused.keys()) {
      if (this.#refused.size < REFUSED_MAX) break
      this.#refused.delete(oldest)
    }
    this.#refused.set(id, { untilMs: this.#mono() + REFUSAL_MS, why })
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
  decide(id: number, offset: number, isAccepted: boolean): void {
    const from = this.#acceptedFrom.get(id)
    if (!isAccepted && from !== Infinity) this.#acceptedFrom.set(id, Infinity)
    if (isAccepted && from === Infinity) this.#acceptedFrom.set(id, offset)
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
