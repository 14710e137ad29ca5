// The registry of a run: the declared schemas under fixed ids. It knows nothing else, so that an arbitrary id in a
// record is unknown to it, and it may be unreachable for a while.
import { RegistryError } from '../platform/codec/register.ts'
import { schemaText } from '../schemas/load.ts'
import { TOPICS } from '../schemas/topics.ts'

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

export class SimRegistry {
  isAway = false

  readonly fetchSchema = async (id: number): Promise<string | null> => {
    if (this.isAway) throw new RegistryError('REGISTRY_UNREACHABLE', 'away on purpose', { retriable: true })
    return TEXTS.get(id) ?? null
  }
}
