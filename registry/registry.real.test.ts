// The registry as its users meet it: a process of its own on a real broker, asked by Confluent's client and by fetch,
// killed and started again.
import { SchemaRegistry, SchemaType } from '@kafkajs/confluent-schema-registry'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../platform/free-port.ts'
import { startTestKafka, type TestKafka } from '../test/fixtures/kafka.ts'
import { Processes, type ServiceProcess } from '../test/fixtures/processes.ts'
import { schemaText } from '../schemas/load.ts'
import { cachedSchemas, fetchIdOfGuid, fetchSchema, registerSchemas } from '../platform/codec/register.ts'
import { CLEAN, RAW, subjectOf, TOPICS } from '../schemas/topics.ts'
import { canonicalText } from './core/canonical.ts'

const processes = new Processes()
let kafka: TestKafka
let port: number
let url: string
let service: ServiceProcess

const record = (...fields: object[]): string => JSON.stringify({ type: 'record', name: 'R', namespace: 'test', fields })
const X = { name: 'x', type: 'int' }
const V1 = record(X)
const V2 = record(X, { name: 'y', type: ['null', 'double'], default: null, unit: 'W', min: -1.5 })
const INCOMPATIBLE = record({ name: 'x', type: 'string' })

const start = (env: Record<string, string> = {}): Promise<ServiceProcess> =>
  processes.start({
    main: 'registry/main.ts',
    env: { KAFKA_BROKERS: kafka.brokers, REGISTRY_PORT: String(port), ...env },
    ready: { output: '"listening"' },
  })

async function call(
  method: string,
  path: string,
  body?: unknown,
): Promise<{ status: number; json: unknown; type: string | null }> {
  const init =
    body === undefined ? { method } : { method, body: typeof body === 'string' ? body : JSON.stringify(body) }
  const response = await fetch(`${url}${path}`, init)
  const text = await response.text()
  return {
    status: response.status,
    json: text === '' ? null : (JSON.parse(text) as unknown),
    type: response.headers.get('content-type'),
  }
}

beforeAll(async () => {
  kafka = await startTestKafka()
  port = await freePort()
  url = `http://127.0.0.1:${port}`
  service = await start()
})
afterAll(async () => {
  await processes.stopAll()
  await kafka?.stop()
})

describe('the schema registry', () => {
  it('serves @kafkajs/confluent-schema-registry unchanged: register, latest, encode, decode, refuse with 409', async () => {
    const client = new SchemaRegistry({ host: url })
    const { id } = await client.register({ type: SchemaType.AVRO, schema: V1 }, { subject: 'client-value' })
    const next = await client.register({ type: SchemaType.AVRO, schema: V2 }, { subject: 'client-value' })
    expect(await client.getLatestSchemaId('client-value')).toBe(next.id)
    expect(await client.getRegistryIdBySchema('client-value', { type: SchemaType.AVRO, schema: V1 })).toBe(id)
    const fresh = new SchemaRegistry({ host: url })
    const bytes = await client.encode(next.id, { x: 7, y: 1.5 })
    expect(await fresh.decode(bytes)).toMatchObject({ x: 7, y: 1.5 })
    const refused = client.register({ type: SchemaType.AVRO, schema: INCOMPATIBLE }, { subject: 'client-value' })
    await expect(refused).rejects.toMatchObject({ status: 409 })
    expect((await call('GET', '/subjects/client-value/versions')).json).toEqual([1, 2])
  })

  it('speaks Confluent’s REST API: content type, bodies and error codes', async () => {
    expect(await call('POST', '/subjects/rest-value/versions', { schema: V1 })).toMatchObject({
      status: 200,
      type: 'application/vnd.schemaregistry.v1+json',
    })
    const { json } = await call('GET', '/subjects/rest-value/versions/latest')
    const { id, guid } = json as { id: number; guid: string }
    expect(json).toEqual({ subject: 'rest-value', version: 1, id, guid, schema: canonicalText(V1) })
    expect((await call('POST', '/subjects/rest-value', { schema: V1 })).json).toEqual(json)
    expect((await call('GET', `/schemas/ids/${id}`)).json).toEqual({ schema: canonicalText(V1) })
    // K12: serializers that put the GUID into a header take it from the answer to their registration.
    expect((await call('POST', '/subjects/rest-value/versions', { schema: V1 })).json).toEqual({ id, guid })
    expect((await call('GET', `/schemas/guids/${guid}`)).json).toEqual({ schema: canonicalText(V1), guid })
    expect((await call('GET', `/schemas/guids/${guid}/ids`)).json).toEqual([{ context: '.', id }])
    expect(await fetchIdOfGuid(url, guid)).toBe(id)
    expect(await fetchIdOfGuid(url, '89791762-2336-4186-9674-299b90a802e2')).toBeNull()
    expect((await call('GET', `/schemas/ids/${id}/versions`)).json).toContainEqual({
      subject: 'rest-value',
      version: 1,
    })
    expect((await call('GET', `/schemas/ids/${id}/subjects`)).json).toContain('rest-value')
    expect((await call('GET', '/subjects/rest-value/versions/1/schema')).json).toEqual(JSON.parse(canonicalText(V1)))
    expect((await call('GET', '/subjects')).json).toContain('rest-value')
    expect((await call('GET', '/mode')).json).toEqual({ mode: 'READWRITE' })
    const compatible = '/compatibility/subjects/rest-value/versions/latest?verbose=true'
    expect((await call('POST', compatible, { schema: V2 })).json).toEqual({ is_compatible: true, messages: [] })
    expect((await call('POST', compatible, { schema: INCOMPATIBLE })).json).toMatchObject({
      is_compatible: false,
      messages: [expect.any(String)],
    })
    expect((await call('PUT', '/config/rest-value', { compatibility: 'FULL' })).json).toEqual({ compatibility: 'FULL' })
    expect((await call('GET', '/config/rest-value')).json).toEqual({ compatibilityLevel: 'FULL' })
    expect((await call('GET', '/config')).json).toEqual({ compatibilityLevel: 'BACKWARD' })
    expect((await call('DELETE', '/config/rest-value')).json).toEqual({ compatibilityLevel: 'FULL' })
  })

  it.each([
    ['GET', '/subjects/none/versions', undefined, 404, 40401],
    ['GET', '/subjects/rest-value/versions/9', undefined, 404, 40402],
    ['GET', '/subjects/rest-value/versions/x', undefined, 422, 42202],
    ['GET', '/schemas/ids/99999', undefined, 404, 40403],
    ['GET', '/schemas/ids/x', undefined, 404, 40403],
    ['GET', '/schemas/guids/x', undefined, 404, 40403],
    ['GET', '/config/none', undefined, 404, 40408],
    ['PUT', '/config/rest-value', { compatibility: 'ANY' }, 422, 42203],
    ['POST', '/subjects/s/versions', { schema: '{' }, 422, 42201],
    ['POST', '/subjects/s/versions', 'no json', 400, 400],
    ['POST', '/subjects/s/versions', { schema: 'x'.repeat(2_000_000) }, 413, 413],
    ['POST', '/subjects/rest-value/versions', { schema: INCOMPATIBLE }, 409, 409],
    ['DELETE', '/subjects/rest-value?permanent=true', undefined, 404, 40405],
    ['GET', '/nowhere', undefined, 404, 404],
  ])('answers %s %s with its code', async (method, path, body, status, code) => {
    expect(await call(method, path, body)).toMatchObject({
      status,
      json: { error_code: code, message: expect.any(String) as string },
    })
  })

  it('gives the same schema one id when many register it at once', async () => {
    const bodies = Array.from({ length: 40 }, (_, i) => ({
      subject: `burst-${i % 4}`,
      schema: record({ ...X, n: i % 2 }),
    }))
    const ids = await Promise.all(
      bodies.map(
        async ({ subject, schema }) =>
          (await call('POST', `/subjects/${subject}/versions`, { schema })).json as { id: number },
      ),
    )
    expect(new Set(ids.map(({ id }) => id)).size).toBe(2)
    for (const subject of ['burst-0', 'burst-1', 'burst-2', 'burst-3'])
      expect((await call('GET', `/subjects/${subject}/versions`)).json).toEqual([1])
  })

  it('takes subject names as data, whatever they contain', async () => {
    const subject = '../%2F"\'; DROP \u00fc'
    const path = `/subjects/${encodeURIComponent(subject)}/versions`
    expect(await call('POST', path, { schema: V1 })).toMatchObject({ status: 200 })
    expect((await call('GET', `${path}/latest`)).json).toMatchObject({ subject })
  })

  it('registers what schemas/topics.ts declares, attributes and all, and fetches it by id', async () => {
    const ids = await registerSchemas(url)
    expect([...ids.keys()].sort()).toEqual(
      TOPICS.filter(({ schema }) => schema !== null)
        .map(({ name }) => name)
        .sort(),
    )
    expect(ids.get(RAW)).toBe(ids.get(CLEAN))
    expect(await registerSchemas(url)).toEqual(ids)
    const id = ids.get(RAW) ?? -1
    expect(await fetchSchema(url, id)).toBe(canonicalText(schemaText('reading')))
    expect(await fetchSchema(url, 99_999)).toBeNull()
    const cached = cachedSchemas(url)
    expect(await Promise.all([cached(id), cached(id), cached(99_999)])).toEqual([
      expect.any(String),
      expect.any(String),
      null,
    ])
    expect((await call('GET', `/config/${subjectOf(RAW)}`)).json).toEqual({ compatibilityLevel: 'BACKWARD' })
  })

  it('says which subject a declared schema does not fit', async () => {
    const subject = subjectOf(RAW)
    const latest = (await call('GET', `/subjects/${subject}/versions/latest`)).json as { version: number }
    await call('PUT', `/config/${subject}`, { compatibility: 'NONE' })
    await call('POST', `/subjects/${subject}/versions`, { schema: INCOMPATIBLE })
    await call('PUT', `/config/${subject}`, { compatibility: 'BACKWARD' })
    await call('DELETE', `/subjects/${subject}/versions/${latest.version}`)
    await expect(registerSchemas(url)).rejects.toMatchObject({
      code: 'SCHEMA_INCOMPATIBLE',
      message: expect.stringContaining(subject) as string,
    })
  })

  it('keeps everything over kill -9, and over a clean restart', async () => {
    const picture = async (): Promise<unknown[]> => {
      const subjects = (await call('GET', '/subjects?deleted=true')).json as string[]
      const paths = subjects.map((subject) => `/subjects/${encodeURIComponent(subject)}`)
      const versions = await Promise.all(
        paths.map(async (path) => (await call('GET', `${path}/versions?deleted=true`)).json),
      )
      const latest = await Promise.all(
        paths.map(async (path) => (await call('GET', `${path}/versions/latest?deleted=true`)).json),
      )
      return [subjects, versions, latest, (await call('GET', '/config/client-value')).json]
    }
    const { json: acknowledged } = await call('POST', '/subjects/last/versions', {
      schema: record({ name: 'last', type: 'int' }),
    })
    const before = await picture()
    await service.kill()
    service = await start()
    expect(await picture()).toEqual(before)
    expect((await call('GET', '/subjects/last/versions/latest')).json).toMatchObject(acknowledged as object)
    expect(await service.stop()).toBe(0)
    service = await start()
    expect(await picture()).toEqual(before)
  })

  it('answers from memory while the broker is away, and writes again when it is back', async () => {
    await kafka.kill()
    // A process that starts again registers what is registered: it must not need the broker for that.
    expect((await call('POST', '/subjects/rest-value/versions', { schema: V1 })).status).toBe(200)
    expect(await call('GET', '/subjects/rest-value/versions/latest')).toMatchObject({ status: 200 })
    await kafka.restart()
    expect(await call('POST', '/subjects/back/versions', { schema: V1 })).toMatchObject({ status: 200 })
  })

  it('takes no harm from nesting without end, nor from names that mean something to objects and paths', async () => {
    const nested = (times: number): string => '{"type":"array","items":'.repeat(times) + '"int"' + '}'.repeat(times)
    expect(await call('POST', '/subjects/deep/versions', { schema: nested(15_000) })).toMatchObject({ status: 422 })
    expect(await call('POST', '/subjects/deep/versions', '['.repeat(500_000))).toMatchObject({ status: 400 })
    expect(await call('POST', '/subjects/big/versions', 'x'.repeat(2_000_000))).toMatchObject({ status: 413 })
    for (const subject of ['__proto__', 'constructor', '..%2f..%2fx']) {
      expect(await call('GET', `/subjects/${subject}/versions`)).toMatchObject({ status: 404 })
      expect(await call('POST', `/subjects/${subject}/versions`, { schema: V1 })).toMatchObject({ status: 200 })
      expect(await call('GET', `/subjects/${subject}/versions`)).toMatchObject({ status: 200, json: [1] })
    }
    expect(await call('POST', '/subjects/a%0d%0ab/versions', { schema: V1 })).toMatchObject({ status: 422 })
    expect(service.isRunning()).toBe(true)
  })

  it('asks for the token where one is set, and registerSchemas sends it', async () => {
    await service.stop()
    service = await start({ API_TOKEN: 'token-of-the-test' })
    expect((await fetch(`${url}/subjects`)).status).toBe(401)
    await expect(registerSchemas(url)).rejects.toMatchObject({ code: 'REGISTRY_REFUSED', retriable: false })
    expect(await fetchSchema(url, 1, 'token-of-the-test')).toBe(canonicalText(V1))
  })
})
