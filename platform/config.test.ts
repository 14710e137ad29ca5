import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { check } from '../test/fixtures/property.ts'
import { loadConfig, SETTINGS, settingsTable } from './config.ts'
import { ConfigError } from './errors.ts'

const dir = mkdtempSync(join(tmpdir(), 'plumbline-config-'))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const fileWith = (text: string): string => {
  const path = join(dir, `secret-${Math.abs(text.length)}-${text.trim().length}`)
  writeFileSync(path, text)
  return path
}

/** What loadConfig says against an environment. */
function complaint(env: Record<string, string>): string {
  try {
    loadConfig(env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  return ''
}

describe('the configuration', () => {
  test('is complete, frozen and typed without any variable', () => {
    const config = loadConfig({})
    expect(Object.keys(config).sort()).toEqual(Object.keys(SETTINGS).sort())
    expect(config).toMatchObject({
      KAFKA_BROKERS: '127.0.0.1:9092',
      TOPIC_PARTITIONS: 6,
      DETECTOR_Z: 3,
      API_TOKEN: undefined,
    })
    expect(Object.isFrozen(config)).toBe(true)
  })

  test('takes an empty variable for one that is not set', () => {
    expect(loadConfig({ TOPIC_PARTITIONS: '', WAL_FSYNC_MS: '  ', SQLITE_FILE: '', API_TOKEN: '  ' })).toEqual(
      loadConfig({}),
    )
  })

  test('reads numbers and text with blanks around them', () => {
    expect(loadConfig({ TOPIC_PARTITIONS: ' 7 ', SQLITE_FILE: ' a b ' })).toMatchObject({
      TOPIC_PARTITIONS: 7,
      SQLITE_FILE: 'a b',
    })
  })

  test.each([
    ['TOPIC_PARTITIONS', '0'],
    ['TOPIC_PARTITIONS', '1.5'],
    ['TOPIC_PARTITIONS', 'six'],
    ['TOPIC_PARTITIONS', '1e9'],
    ['QUERY_API_PORT', '65536'],
    ['QUERY_API_PORT', '-1'],
    ['DETECTOR_Z', '1000.1'],
    ['DETECTOR_Z', 'NaN'],
    ['DETECTOR_Z', 'Infinity'],
    ['LOG_LEVEL', 'loud'],
    ['KAFKA_BROKERS', 'localhost'],
    ['KAFKA_BROKERS', 'a:1,'],
    ['KAFKA_BROKERS', 'a:1, b:2'],
    ['REGISTRY_URL', 'not a url'],
    ['REGISTRY_URL', 'localhost:8081'],
    ['REGISTRY_URL', 'file:///etc/passwd'],
    ['REFINE_GROUP', 'a/b'],
    ['STORE', 'postgres'],
    ['TDENGINE_URL', 'http://127.0.0.1:6041/rest/sql'],
    ['TDENGINE_URL', 'http://127.0.0.1:6041/Plumbline'],
    ['TDENGINE_URL', 'http://127.0.0.1:6041?db=x'],
    ['TDENGINE_URL', 'taos://127.0.0.1:6030'],
    ['TDENGINE_URL', 'no address'],
  ])('names %s when it is %j', (name, value) => {
    expect(complaint({ [name]: value })).toContain(`${name} is ${JSON.stringify(value)}`)
  })

  test('knows TDengine by an address alone, and asks for it when it is the store', () => {
    for (const TDENGINE_URL of [
      'http://127.0.0.1:6041',
      'https://tsdb:6041/',
      'http://[::1]:6041/plumbline_2',
      'wss://tsdb:6041/x',
    ])
      expect(loadConfig({ STORE: 'tdengine', TDENGINE_URL })).toMatchObject({ TDENGINE_URL, TDENGINE_USERNAME: 'root' })
    expect(complaint({ STORE: 'tdengine' })).toContain('TDENGINE_URL')
    expect(complaint({ TDENGINE_URL: 'http://root:hunter2@host:6041' })).toMatch(/without user and password/)
    expect(complaint({ TDENGINE_URL: 'http://root:hunter2@host:6041' })).not.toContain('hunter2')
  })

  test('names every bad and every unknown variable at once', () => {
    const message = complaint({ TOPIC_PARTITIONS: '0', LOG_LEVEL: 'loud', WAL_FSYNC: '3', REFINE_Z: '1' })
    for (const name of ['TOPIC_PARTITIONS', 'LOG_LEVEL', 'WAL_FSYNC', 'REFINE_Z']) expect(message).toContain(name)
  })

  test.each([
    'KAFKA_BROKER',
    'REGISTRY_URLS',
    'SINKS_HOST',
    'SQLITE_PATH',
    'WAL_SIZE',
    'QUERY_PORT',
    'DETECTOR_SIGMA',
    'KAFKA_SASL_USERNAME_FILE',
    'SINK_BATCH',
  ])('refuses %s, which begins like one of ours and is none', (name) =>
    expect(complaint({ [name]: '1' })).toContain(`${name} is not a setting`),
  )

  test('leaves variables of others alone', () => {
    expect(() =>
      loadConfig({
        PATH: '/bin',
        HOME: '/',
        KAFKA_HEAP_OPTS: '-Xmx1g',
        KAFKA_OPTS: '',
        HTTP_PROXY: 'x',
        DATA_SOURCE: 'x',
        STOREY: '1',
      }),
    ).not.toThrow()
  })

  test.each(['FLEET_NODES', 'FAULT_DROP_PROBABILITY'])(
    '%s is refused: the simulated fleet and its faults are options, so that no variable can drop a send in production',
    (name) => {
      expect(Object.keys(SETTINGS).filter((setting) => /^(FLEET|FAULT)_/.test(setting))).toEqual([])
      expect(complaint({ [name]: '0' })).toContain(`${name} is not a setting: the simulated fleet has options`)
    },
  )

  test('holds for arbitrary values: each is accepted or its variable is named', () => {
    const names = Object.keys(SETTINGS)
    check(
      fc.property(
        fc.constantFrom(...names),
        fc.oneof(fc.string(), fc.double().map(String), fc.integer().map(String)),
        (name, value) => {
          if (name === 'LISTEN_HOST' || name.startsWith('KAFKA_')) return
          const message = complaint({ [name]: value })
          if (message !== '') expect(message).toContain(name)
        },
      ),
      500,
    )
  })
})

describe('a secret', () => {
  const SECRET = 'hunter2-not-to-be-seen'

  test('may come from the file that NAME_FILE names, and then wins', () => {
    expect(loadConfig({ API_TOKEN_FILE: fileWith(`${SECRET}\n`), API_TOKEN: 'other' }).API_TOKEN).toBe(SECRET)
  })

  test('whose file is empty or cannot be read is an error: it must not silently count as not set', () => {
    expect(complaint({ API_TOKEN_FILE: fileWith(' \n ') })).toContain('API_TOKEN_FILE')
    expect(complaint({ API_TOKEN_FILE: join(dir, 'missing') })).toContain('API_TOKEN_FILE')
  })

  test('whose NAME_FILE is blank comes from NAME', () => {
    expect(loadConfig({ API_TOKEN_FILE: ' ', API_TOKEN: SECRET }).API_TOKEN).toBe(SECRET)
  })

  test.each(['with space', 'line\nbreak', 'tökén', 'x'.repeat(1_025)])(
    'that cannot be sent in a header is refused: API_TOKEN %j',
    (token) => {
      expect(complaint({ API_TOKEN: token })).toMatch(/^configuration: API_TOKEN expected .* printable ASCII/)
      expect(complaint({ API_TOKEN: token })).not.toContain(token)
    },
  )

  test.each(['x', 'secret', 'x'.repeat(15)])('security 16: that can be guessed is refused: API_TOKEN %j', (token) => {
    expect(complaint({ API_TOKEN: token })).toMatch(
      /^configuration: API_TOKEN expected from 16 to 1024 printable ASCII/,
    )
  })

  test('is never shown, neither in an error nor in the table', () => {
    const env = { API_TOKEN: SECRET, KAFKA_SASL_PASSWORD: SECRET, KAFKA_SASL_MECHANISM: 'plain', TOPIC_PARTITIONS: 'x' }
    expect(complaint(env)).not.toContain(SECRET)
    expect(settingsTable()).toContain('| `API_TOKEN` | none; or `API_TOKEN_FILE` |')
  })

  test('within a URL is not shown when the URL is refused', () => {
    for (const url of [
      `http://user:${SECRET}@host:8081`,
      `ftp://user:${SECRET}@host`,
      `localhost:8081/${SECRET}@`,
      `http://user:${SECRET}@host:999999`,
    ]) {
      expect(complaint({ REGISTRY_URL: url }), url).toContain('REGISTRY_URL')
      expect(complaint({ REGISTRY_URL: url }), url).not.toContain(SECRET)
    }
  })
})

test('a registry whose address carries a password is refused, without showing it', () => {
  for (const url of ['http://user:hunter2@host:8081', 'http://hunter2@host']) {
    expect(complaint({ REGISTRY_URL: url })).toContain('REGISTRY_URL')
    expect(complaint({ REGISTRY_URL: url })).not.toContain('hunter2')
  }
  expect(complaint({ REGISTRY_URL: 'http://host:8081/a@b?c=@d' })).toBe('')
})

describe('settings that belong together', () => {
  test.each(['0.0.0.0', '::', '192.168.0.7', 'example.org', '127.0.0.1.example.org'])(
    'LISTEN_HOST %s needs a token',
    (host) => {
      expect(complaint({ LISTEN_HOST: host })).toMatch(/not loopback.*API_TOKEN/)
      expect(complaint({ LISTEN_HOST: host, API_TOKEN: 'token-of-the-test' })).toBe('')
    },
  )

  test.each(['127.0.0.1', '::1', 'localhost'])('LISTEN_HOST %s needs none', (host) =>
    expect(complaint({ LISTEN_HOST: host })).toBe(''),
  )

  test.each([
    [['KAFKA_SASL_MECHANISM'], 'KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)'],
    [['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME'], 'KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)'],
    [['KAFKA_SASL_USERNAME'], 'KAFKA_SASL_MECHANISM and KAFKA_SASL_PASSWORD (or KAFKA_SASL_PASSWORD_FILE)'],
    [['KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'], 'KAFKA_SASL_MECHANISM'],
    [['KAFKA_SASL_PASSWORD'], 'KAFKA_SASL_MECHANISM and KAFKA_SASL_USERNAME'],
  ])('MI-11: SASL by %j alone names what is missing', (given, missing) => {
    const env = Object.fromEntries(given.map((name) => [name, 'plain']))
    expect(complaint(env)).toBe(`${given.join(' and ')} needs ${missing} too`)
  })

  test('a client certificate needs its key, a window its least samples', () => {
    expect(complaint({ KAFKA_TLS_CERT_FILE: 'a.pem' })).toContain('KAFKA_TLS_KEY_FILE')
    expect(complaint({ DETECTOR_WINDOW: '10' })).toContain('DETECTOR_MIN_SAMPLES')
  })

  test('a level of the store is kept at least as long as the finer one that corrects it', () => {
    expect(complaint({ STORE_KEEP_1M_D: '366' })).toContain('STORE_KEEP_1M_D must not be less than STORE_KEEP_ROWS_D')
    expect(complaint({ STORE_KEEP_1H_D: '100' })).toContain('STORE_KEEP_1H_D must not be less than STORE_KEEP_1M_D')
  })
})

test('the table has a row for every setting, with its default and its meaning', () => {
  const rows = settingsTable()
    .split('\n')
    .filter((line) => line.startsWith('| `'))
  expect(rows).toHaveLength(Object.keys(SETTINGS).length)
  for (const [name, { doc }] of Object.entries(SETTINGS))
    expect(rows.filter((row) => row.startsWith(`| \`${name}\` |`) && row.endsWith(` ${doc} |`))).toHaveLength(1)
  for (const row of rows) expect(row.split(' | ')).toHaveLength(3)
})
