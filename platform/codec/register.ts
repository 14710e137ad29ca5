// A process's dealings with the schema registry, whichever it is: registering what schemas/topics.ts declares when the
// process starts, and asking for schemas that others have registered. Never per record.
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { LRUCache } from 'lru-cache'
import { messageOf, PlumblineError } from '../errors.ts'
import { retry } from '../retry.ts'
import { schemaText } from '../../schemas/load.ts'
import { subjectOf, TOPICS } from '../../schemas/topics.ts'

/** The registry may be starting: it reads its topic before it listens. */
const START_TIMEOUT_MS = 60_000
const RETRY = { baseMs: 100, capMs: 2_000 }
const REQUEST_TIMEOUT_MS = 5_000
/** As many schemas as one process will meet; each text is some kilobytes. */
const CACHED_MAX = 1_000
/** How long an id stays unknown before the registry is asked again: bad bytes must not become a load on it. */
const UNKNOWN_MS = 30_000

/** The registry refused or could not be reached. */
export class RegistryError extends PlumblineError<
  'REGISTRY_UNREACHABLE' | 'REGISTRY_REFUSED' | 'SCHEMA_INCOMPATIBLE'
> {}

/** Asks for a schema's text; null where the registry has no such id. Rejects while it cannot be reached. */
export type FetchSchema = (id: number) => Promise<string | null>

/**
 * Registers every declared schema under its subject, compatibility BACKWARD; registering again changes nothing.
 * @returns schema id by topic
 * @throws RegistryError SCHEMA_INCOMPATIBLE naming the subject, REGISTRY_UNREACHABLE after 60 s, REGISTRY_REFUSED
 */
export async function registerSchemas(registryUrl: string, token?: string): Promise<Map<string, number>> {
  await retry(() => get(registryUrl, '/subjects', token), { backoff: RETRY, forMs: START_TIMEOUT_MS })
  const registry = new SchemaRegistry({
    host: withoutSlash(registryUrl),
    middlewares: token === undefined ? [] : [bearer(token)],
  })
  const ids = new Map<string, number>()
  for (const { name, schema } of TOPICS) {
    if (schema === null) continue
    const subject = subjectOf(name)
    try {
      const { id } = await registry.register({ type: SchemaType.AVRO, schema: schemaText(schema) }, { subject })
      ids.set(name, id)
    } catch (error) {
      throw registrationError(subject, schema, error)
    }
  }
  return ids
}

function registrationError(subject: string, schema: string, error: unknown): RegistryError {
  const status = (error as { status?: unknown }).status
  if (status === 409) {
    const hint = `change schemas/${schema}.avsc so that it can read what is stored, or keep it under another topic`
    return new RegistryError('SCHEMA_INCOMPATIBLE', `${subject}: ${messageOf(error)}; ${hint}`, { cause: error })
  }
  return new RegistryError('REGISTRY_REFUSED', `${subject} cannot be registered: ${messageOf(error)}`, { cause: error })
}

/** @throws RegistryError REGISTRY_UNREACHABLE, retriable; REGISTRY_REFUSED for an answer that waiting does not change */
export async function fetchSchema(registryUrl: string, id: number, token?: string): Promise<string | null> {
  const response = await get(registryUrl, `/schemas/ids/${id}`, token)
  if (response.status === 404) return null
  const { schema } = (await response.json()) as { schema?: unknown }
  return typeof schema === 'string' ? schema : null
}

/** `fetchSchema` for readers that meet ids again and again: bounded, one request per id at a time. */
export function cachedSchemas(registryUrl: string, token?: string): FetchSchema {
  const known = new LRUCache<number, { readonly text: string | null }>({ max: CACHED_MAX })
  const asked = new Map<number, Promise<string | null>>()
  const ask = async (id: number): Promise<string | null> => {
    try {
      const text = await fetchSchema(registryUrl, id, token)
      // What an id means never changes; that it is unknown may.
      known.set(id, { text }, text === null ? { ttl: UNKNOWN_MS } : {})
      return text
    } finally {
      asked.delete(id)
    }
  }
  return (id) => {
    const hit = known.get(id)
    if (hit !== undefined) return Promise.resolve(hit.text)
    const pending = asked.get(id) ?? ask(id)
    asked.set(id, pending)
    return pending
  }
}

/** The answer, 404 included. */
async function get(registryUrl: string, path: string, token: string | undefined): Promise<Response> {
  const url = `${withoutSlash(registryUrl)}${path}`
  const headers = {
    accept: 'application/vnd.schemaregistry.v1+json',
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
  }
  let response: Response
  try {
    response = await fetch(url, { headers, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) })
  } catch (error) {
    const reason = messageOf((error as Error).cause ?? error)
    throw new RegistryError(
      'REGISTRY_UNREACHABLE',
      `the schema registry at ${registryUrl} does not answer: ${reason}`,
      { retriable: true, cause: error },
    )
  }
  if (response.ok || response.status === 404) return response
  await response.body?.cancel()
  const isRetriable = response.status >= 500 || response.status === 429
  throw new RegistryError(
    isRetriable ? 'REGISTRY_UNREACHABLE' : 'REGISTRY_REFUSED',
    `the schema registry answers ${response.status} to GET ${path}`,
    { retriable: isRetriable },
  )
}

const withoutSlash = (url: string): string => url.replace(/\/+$/, '')

type Middleware = NonNullable<ConstructorParameters<typeof SchemaRegistry>[0]['middlewares']>[number]

/** The client itself knows basic authentication only. */
const bearer =
  (token: string): Middleware =>
  () => ({ prepareRequest: async (next) => (await next()).enhance({ headers: { authorization: `Bearer ${token}` } }) })
