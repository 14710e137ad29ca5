import { expect, test } from 'vitest'
import { loadConfig } from '../platform/config.ts'
import { producersUrl, queryApiUrl } from './addresses.ts'

test.each([
  [{}, 'http://127.0.0.1:8080', 'http://127.0.0.1:8082'],
  [{ LISTEN_HOST: '::1', QUERY_API_PORT: '9080' }, 'http://[::1]:9080', 'http://[::1]:8082'],
  [{ LISTEN_HOST: '0.0.0.0', API_TOKEN: 'token-of-the-test' }, 'http://127.0.0.1:8080', 'http://127.0.0.1:8082'],
  [{ QUERY_API_URL: 'http://query-api:8080', PRODUCERS_URL: 'https://door' }, 'http://query-api:8080', 'https://door'],
])('with %j commands ask at %s and send to %s', (env, api, producers) => {
  expect(queryApiUrl(loadConfig(env))).toBe(api)
  expect(producersUrl(loadConfig(env))).toBe(producers)
})
