// What the schemas of records are, for AuditRecords: each is asked for once. Garbage can name any number of schemas, so what is
// remembered is bounded; what was forgotten is asked for again.
import { type SchemaName, unknownGuidId } from '../platform/codec/framing.ts'
import { planOrNull } from '../platform/codec/reading-decoder.ts'
import type { ScanPlan } from '../platform/codec/reading-plan.ts'
import type { FetchSchema } from '../platform/codec/register.ts'

const KNOWN_MAX = 10_000

export class AuditSchemas {
  readonly #plans = new Map<number, ScanPlan | null>()
  readonly #ids = new Map<string, number>()
  readonly #fetch: FetchSchema

  constructor(fetch: FetchSchema) {
    this.#fetch = fetch
  }

  readonly planOf = (id: number): ScanPlan | null | undefined => this.#plans.get(id)

  readonly idOfGuid = (guid: string): number | undefined => this.#ids.get(guid)

  /** Afterwards `planOf` or `idOfGuid` answers. Rejects while the registry cannot be reached. */
  async learn(name: SchemaName): Promise<void> {
    if (this.#plans.size + this.#ids.size >= KNOWN_MAX) {
      this.#plans.clear()
      this.#ids.clear()
    }
    const id = 'id' in name ? name.id : await this.#learnGuid(name.guid)
    if (id !== null && !this.#plans.has(id)) this.#plans.set(id, planOrNull(await this.#fetch(id)))
  }

  async #learnGuid(guid: string): Promise<number | null> {
    const id = (await this.#fetch.idOfGuid?.(guid)) ?? null
    const unknown = unknownGuidId(guid)
    if (id === null) this.#plans.set(unknown, null)
    this.#ids.set(guid, id ?? unknown)
    return id
  }
}
