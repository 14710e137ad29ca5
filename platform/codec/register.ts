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
/** Confluent's name of the context that everything belongs to where there are no others. */
const DEFAULT_CONTEXT = '.'

/** The registry refused or could not be reached. */
export class RegistryError extends PlumblineError<
  'REGISTRY_UNREACHABLE' | 'REGISTRY_REFUSED' | 'SCHEMA_INCOMPATIBLE'
> {}

/** Asks for a schema's text; null where the registry has no such id. Rejects while it cannot be reached. */
export interface FetchSchema {
  (id: number): Promise<string | null>
  /** The id of the schema with this GUID; null where the registry has none. Absent: no GUID is known. */
  readonly idOfGuid?: (guid: string) => Promise<number | null>
}

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

/**
 * Several contexts may have the schema under different ids: the default one's counts, since ids are asked for without one.
 * @throws as fetchSchema
 */
export async function fetchIdOfGuid(registryUrl: string, guid: string, token?: string): Promise<number | null> {
  const response = await get(registryUrl, `/schemas/guids/${guid}/ids`, token)
  if (response.status === 404) return null
  const found = (await response.json()) as readonly { readonly context?: unknown; readonly id?: unknown }[]
  const { id } = found.find(({ context }) => context === DEFAULT_CONTEXT) ?? { id: null }
  return typeof id === 'number' && id < 2 ** 31 ? id : null
}

/** Greatest schema id that the registry has given out; null where it does not list its schemas. */
export type FetchHighest = () => Promise<number | null>

/** @throws RegistryError as `fetchSchema` */
export async function fetchHighestId(registryUrl: string, token?: string): Promise<number | null> {
  const response = await get(registryUrl, '/schemas?deleted=true', token)
  if (response.status === 404) return null
  const listed = (await response.json()) as unknown
  if (!Array.isArray(listed)) return null
  const ids = listed.map((one: unknown) => Number((one as { id?: unknown } | null)?.id))
  return ids.every((id) => Number.isSafeInteger(id)) ? ids.reduce((most, id) => Math.max(most, id), 0) : null
}

/** `fetchSchema` for readers that meet ids again and again: bounded, one request per id at a time. */
export function cachedSchemas(registryUrl: string, token?: string): FetchSchema {
  const text = cached((id: number) => fetchSchema(registryUrl, id, token))
  const idOfGuid = cached((guid: string) => fetchIdOfGuid(registryUrl, guid, token))
  return Object.assign(text, { idOfGuid })
}

function cached<K extends number | string, V>(fetch: (key: K) => Promise<V | null>): (key: K) => Promise<V | null> {
  const known = new LRUCache<K, { readonly value: V | null }>({ max: CACHED_MAX })
  const asked = new Map<K, Promise<V | null>>()
  const ask = async (key: K): Promise<V | null> => {
    try {
      const value = await fetch(key)
      // What an id means never changes; that it is unknown may.
      known.set(key, { value }, value === null ? { ttl: UNKNOWN_MS } : {})
      return value
    } finally {
      asked.delete(key)
    }
  }
  return (key) => {
    const hit = known.get(key)
    if (hit !== undefined) return Promise.resolve(hit.value)
    const pending = asked.get(key) ?? ask(key)
    asked.set(key, pending)
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
