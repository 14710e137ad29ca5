// Schemas that this process registered are known without asking: neither the order nor acquiring a partition may wait
// for an unavailable registry.
import type { FetchSchema } from '../platform/codec/register.ts'
import { schemaText } from '../schemas/load.ts'
import { topicSpec } from '../schemas/topics.ts'

/** @param schemaIds by declared topic */
export function ownFirst(schemaIds: ReadonlyMap<string, number>, fetchSchema: FetchSchema): FetchSchema {
  const own = new Map([...schemaIds].map(([topic, id]) => [id, topicSpec(topic).schema!]))
  const text = (id: number): Promise<string | null> => {
    const schema = own.get(id)
    return schema === undefined ? fetchSchema(id) : Promise.resolve(schemaText(schema))
  }
  return Object.assign(text, fetchSchema.idOfGuid === undefined ? {} : { idOfGuid: fetchSchema.idOfGuid })
}
