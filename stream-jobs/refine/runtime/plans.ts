// Which schema ids a task understands. The registry is asked once per id and process; an id that it does not know is
// refused for a while. Such a refusal is a decision that a replay must repeat, although the registry may have learnt
// the id since: the task keeps it, with the offset from which the id was accepted, beside its committed offset.
import { readingSchema } from '../../../platform/codec/reading-decoder.ts'
import { isUnknownGuid, type SchemaName, unknownGuidId } from '../../../platform/codec/framing.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import type { Clock } from '../../../platform/clock.ts'
import type { FetchHighest, FetchSchema } from '../../../platform/codec/register.ts'

export type { FetchSchema }

/** How long an id unknown to the registry is not looked up again, ms. */
const REFUSAL_MS = 30_000
/** Refused ids that are remembered; known ones are as many as the registry has for readings. */
const REFUSED_MAX = 1_000
/** Concurrent requests to the registry, per partition. */
const LOOKUPS_AT_A_TIME = 8

/** Least time between two requests for the registry's greatest id, ms: what garbage costs, however many ids it names. */
const HIGHEST_MS = 250

export class SchemaPlans {
  readonly #known = new Map<number, ScanPlan>()
  readonly #idByGuid = new Map<string, number>()
  readonly #refused = new Map<number, { readonly untilMs: number; readonly why: string }>()
  readonly #fetch: FetchSchema
  readonly #fetchHighest: FetchHighest | null
  readonly #mono: () => number
  readonly #sleep: (ms: number) => Promise<void>
  /** Greatest id of the registry, and when it was asked for; null where it does not say. */
  #highest: { readonly id: number | null; readonly atMs: number } = { id: null, atMs: -Infinity }
  #asking: Promise<void> | null = null

  /** @param fetchHighest the registry's greatest id; null where it does not say */
  constructor(fetch: FetchSchema, clock: Pick<Clock, 'mono' | 'sleep'>, fetchHighest: FetchHighest | null = null) {
    this.#fetch = fetch
    this.#mono = () => clock.mono()
    this.#sleep = (ms) => clock.sleep(ms)
    this.#fetchHighest = fetchHighest
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

  /**
   * The registry's greatest id if this one is above it, so that nobody need ask for it; else null.
   * @param sinceMs when the records were fetched: what was asked before then does not count, since a producer registers a
   * schema before it sends
   */
  above(id: number, sinceMs: number): number | null {
    const { id: highest, atMs } = this.#highest
    return highest !== null && id > highest && atMs >= sinceMs ? highest : null
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
    const why = this.#refused.get(id)?.why
    if (why !== undefined) return why
    if (isUnknownGuid(id)) return 'no registry gives such an id'
    const highest = this.above(id, -Infinity)
    return highest === null ? 'it was refused before' : `the schema registry has no id above ${highest}`
  }

  /**
   * Asks for several schemas, a few at a time, except for ids above the greatest; rejects while the registry cannot be
   * reached.
   * @param sinceMs when the records that have them were fetched
   */
  async learnAll(names: Iterable<SchemaName>, sinceMs: number): Promise<void> {
    await this.#learnHighest(sinceMs)
    const rest = [...names].filter((name) => !('id' in name) || this.above(name.id, sinceMs) === null)
    const ask = async (): Promise<void> => {
      for (let name = rest.pop(); name !== undefined; name = rest.pop()) await this.learn(name)
    }
    await Promise.all(Array.from({ length: Math.min(LOOKUPS_AT_A_TIME, rest.length) }, ask))
  }

  /** One request at a time, for all partitions. */
  async #learnHighest(sinceMs: number): Promise<void> {
    const fetch = this.#fetchHighest
    while (fetch !== null && this.#highest.atMs < sinceMs) {
      this.#asking ??= this.#askHighest(fetch).finally(() => (this.#asking = null))
      await this.#asking
    }
  }

  async #askHighest(fetch: FetchHighest): Promise<void> {
    const waitMs = this.#highest.atMs + HIGHEST_MS - this.#mono()
    if (waitMs > 0) await this.#sleep(waitMs)
    const atMs = this.#mono()
    // A registry that does not say still answers for single ids.
    this.#highest = { id: await fetch().catch(() => null), atMs }
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
  /** When the records at hand were fetched, ms of monotonic time. */
  fetchedMs = 0
  /** Id → offset from which it is accepted; Infinity while it is refused. */
  readonly #acceptedFrom: Map<number, number>
  /** The registry's greatest id and the offset from which every id above it was refused, in order of offsets. */
  readonly #above: (readonly [highest: number, from: number])[]

  constructor(entries: Iterable<readonly [number, number]> = [], above: Iterable<readonly [number, number]> = []) {
    this.#acceptedFrom = new Map(entries)
    this.#above = [...above]
  }

  get size(): number {
    return this.#acceptedFrom.size + this.#above.length
  }

  /** For the offset's metadata. */
  get above(): readonly (readonly [number, number])[] {
    return this.#above
  }

  /**
   * A new decision, for a record that is read for the first time.
   * @param highest the registry's greatest id if it was refused for being above it
   */
  decide(id: number, offset: number, isAccepted: boolean, highest: number | null = null): void {
    const last = this.#above.at(-1)
    if (highest !== null) {
      if (last?.[0] !== highest) this.#above.push([highest, offset])
      return
    }
    // The registry has given out more ids since.
    if (isAccepted && last !== undefined && id > last[0] && !isUnknownGuid(id)) this.#above.push([id, offset])
    const from = this.#acceptedFrom.get(id)
    if (!isAccepted && from !== Infinity) this.#acceptedFrom.set(id, Infinity)
    if (isAccepted && from === Infinity) this.#acceptedFrom.set(id, offset)
  }

  /** Whether a record was refused when it was first read. */
  wasRefused(id: number, offset: number): boolean {
    if (offset < (this.#acceptedFrom.get(id) ?? 0)) return true
    const step = isUnknownGuid(id) ? undefined : this.#above.findLast(([, from]) => from <= offset)
    return step !== undefined && id > step[0]
  }

  /** Forgets everything: no record read so far will be read again. */
  clear(): void {
    this.#acceptedFrom.clear()
    this.#above.length = 0
  }

  /** For the offset's metadata: id and offset, -1 for an id that is still refused. */
  entries(): [number, number][] {
    return [...this.#acceptedFrom].map(([id, from]) => [id, from === Infinity ? -1 : from])
  }

  static fromEntries(
    entries: readonly (readonly [number, number])[],
    above: readonly (readonly [number, number])[] = [],
  ): Refusals {
    return new Refusals(
      entries.map(([id, from]) => [id, from < 0 ? Infinity : from]),
      above,
    )
  }
}
