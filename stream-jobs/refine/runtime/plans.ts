// Which schema ids a task understands. The registry is asked once per id and process; an id that it does not know is
// refused for a while. Such a refusal is a decision that a replay must repeat, although the registry may have learnt
// the id since: the task keeps it, with the offset from which the id was accepted, beside its committed offset.
import avsc from 'avsc'
import { planScan, type ScanPlan, type WriterSchema } from '../../../platform/codec/reading-scanner.ts'

/** How long the registry is not asked again for an id that it did not know, ms. */
const REFUSAL_MS = 30_000
/** Refused ids that are remembered; known ones are as many as the registry has for readings. */
const REFUSED_MAX = 1_000

export interface KnownSchema {
  readonly plan: ScanPlan
  readonly type: avsc.Type
}

/** Asks the registry for a schema's text; null: there is no such id. Rejects while the registry cannot be reached. */
export type FetchSchema = (id: number) => Promise<string | null>

export class SchemaPlans {
  readonly #known = new Map<number, KnownSchema>()
  readonly #refusedUntil = new Map<number, number>()
  readonly #fetch: FetchSchema
  readonly #mono: () => number

  constructor(fetch: FetchSchema, mono: () => number) {
    this.#fetch = fetch
    this.#mono = mono
  }

  /** The schema; null when it is refused at the moment; undefined when the registry must be asked. */
  get(id: number): KnownSchema | null | undefined {
    const known = this.#known.get(id)
    if (known !== undefined) return known
    const until = this.#refusedUntil.get(id)
    return until !== undefined && this.#mono() < until ? null : undefined
  }

  /** Asks the registry; afterwards `get` answers. Rejects while the registry cannot be reached. */
  async learn(id: number): Promise<void> {
    const text = await this.#fetch(id)
    const schema = text === null ? null : parseWriter(text)
    if (schema === null) {
      this.#refusedUntil.delete(id)
      for (const oldest of this.#refusedUntil.keys()) {
        if (this.#refusedUntil.size < REFUSED_MAX) break
        this.#refusedUntil.delete(oldest)
      }
      this.#refusedUntil.set(id, this.#mono() + REFUSAL_MS)
      return
    }
    this.#known.set(id, schema)
  }
}

/** Null when the schema is not that of a Reading. */
function parseWriter(text: string): KnownSchema | null {
  try {
    const schema = JSON.parse(text) as WriterSchema
    return { plan: planScan(schema), type: avsc.Type.forSchema(schema as unknown as avsc.Schema) }
  } catch {
    // Whatever goes wrong (not JSON, not a Reading, nested too deeply) is the schema's doing: asking again gives the same.
    return null
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
  decide(id: number, offset: number, known: KnownSchema | null): ScanPlan | null {
    const from = this.#acceptedFrom.get(id)
    if (known === null) {
      if (from !== Infinity) this.#acceptedFrom.set(id, Infinity)
      return null
    }
    if (from === Infinity) this.#acceptedFrom.set(id, offset)
    return known.plan
  }

  /** Whether a record was refused when it was first read. */
  wasRefused(id: number, offset: number): boolean {
    return offset < (this.#acceptedFrom.get(id) ?? 0)
  }

  /** Forgets everything: no record so far will be read again. */
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
