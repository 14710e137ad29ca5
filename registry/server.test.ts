// The registry's HTTP behaviour that no state is needed for.
import pino from 'pino'
import { beforeAll, expect, test } from 'vitest'
import { Health } from '../platform/health.ts'
import { listen } from '../platform/http.ts'
import { createMetrics } from '../platform/metrics.ts'
import { RegistryState } from './core/state.ts'
import { Registry } from './registry.ts'
import { createRegistryApp } from './server.ts'

const log = pino({ level: 'silent' })
let call: (
  method: string,
  path: string,
  body?: string,
) => Promise<{ status: number; allow: string | null; body: object }>

beforeAll(async () => {
  const state = new RegistryState(() => new Uint8Array(16))
  const schemas = { state, catchUp: async () => undefined, append: async () => true } as never
  const app = createRegistryApp(new Registry(schemas), {
    health: new Health(),
    metrics: createMetrics('registry'),
    log,
    token: undefined,
  })
  const http = await listen(app, '127.0.0.1', 0, log)
  call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${http.port}${path}`, { method, body })
    return {
      status: response.status,
      allow: response.headers.get('allow'),
      body: (await response.json()) as object,
    }
  }
  return () => http.close()
})

test.each([
  ['PUT', '/subjects', 'GET, HEAD'],
  ['PATCH', '/subjects/s', 'DELETE, POST'],
  ['DELETE', '/schemas/ids/1', 'GET, HEAD'],
  ['POST', '/schemas/guids/x', 'GET, HEAD'],
  ['POST', '/config', 'DELETE, GET, HEAD, PUT'],
])('security low: %s %s is 405 with Allow: %s', async (method, path, allow) => {
  expect(await call(method, path)).toMatchObject({ status: 405, allow, body: { error_code: 405 } })
  expect(await call(method, `${path}/no/where`)).toMatchObject({ status: 404, allow: null })
})

test('security low: a name that occurs twice in the body is refused', async () => {
  const body = '{"compatibility":"FULL","compatibility":"NONE"}'
  expect(await call('PUT', '/config', body)).toMatchObject({
    status: 400,
    body: { error_code: 400, message: '"compatibility" is given twice in one object: give it once' },
  })
  expect(await call('PUT', '/config', 'no json')).toMatchObject({ status: 400 })
})

test.each(['.', '..'])('K10: the subject "%s", which no path can carry, is refused', async (subject) => {
  const { checkSubject } = await import('./core/decide.ts')
  expect(() => checkSubject(subject)).toThrow('not "." or ".."')
})
