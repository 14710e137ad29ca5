// The whole pipeline as it must run off loopback (MI-11): every service on all addresses, each request with the token,
// the broker by SASL over TLS. A reading goes the whole way, nobody gets in without the token, a service with the wrong
// papers ends with one clear message and exit code 78, and neither token nor password is seen anywhere.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { execFile } from 'node:child_process'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts } from '../../platform/free-port.ts'
import { loadConfig } from '../../platform/config.ts'
import { connectKafka } from '../../platform/kafka/kafkajs/client.ts'
import { EXIT_CONFIG } from '../../platform/lifecycle.ts'
import { TOPICS } from '../../schemas/topics.ts'
import { until } from '../fixtures/metric.ts'
import { Processes, type ServiceProcess } from '../fixtures/processes.ts'
import { PASSWORD, type SecureKafka, startSecureKafka, USER } from '../fixtures/secure-kafka.ts'

const run = promisify(execFile)
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NODE = join(ROOT, 'node_modules/node/bin/node')
const TOKEN = 'token-of-the-test-not-to-be-seen'
const WRONG = 'wrong-password-not-to-be-seen'
/** Every service with its port's setting and routes of its own, beside those that all have. */
const SERVICES = {
  registry: { main: 'registry/main.ts', port: 'REGISTRY_PORT', routes: ['GET /subjects', 'PUT /config'] },
  producers: {
    main: 'producers/main.ts',
    port: 'PRODUCERS_PORT',
    routes: ['POST /readings', 'GET /nodes', 'POST /nodes', 'DELETE /nodes/x'],
  },
  'stream-jobs': { main: 'stream-jobs/main.ts', port: 'STREAM_JOBS_PORT', routes: [] },
  sinks: { main: 'sinks/main.ts', port: 'SINKS_PORT', routes: [] },
  'query-api': {
    main: 'query-api/main.ts',
    port: 'QUERY_API_PORT',
    routes: ['GET /', 'GET /status', 'GET /sensors', 'GET /sensors/x/recent', 'GET /sites/x/agg', 'GET /anomalies'],
  },
} as const
type ServiceName = keyof typeof SERVICES
const NAMES = Object.keys(SERVICES) as ServiceName[]
const ON_KAFKA = NAMES.filter((name) => name !== 'query-api')

const processes = new Processes()
const services = new Map<ServiceName, ServiceProcess>()
let secure: SecureKafka
let folder: string
let env: Record<string, string>

beforeAll(async () => {
  secure = await startSecureKafka()
  folder = mkdtempSync(join(tmpdir(), 'plumbline-security-'))
  const admin = await connectKafka(
    loadConfig({ KAFKA_BROKERS: secure.brokers.plain }),
    pino({ level: 'silent' }),
  ).admin()
  await admin.ensureTopics(TOPICS.map(({ name, configs }) => ({ name, configs, partitions: 1 })))
  await admin.close()
  const ports = await freePorts(NAMES.length)
  env = {
    ...Object.fromEntries(NAMES.map((name, i) => [SERVICES[name].port, String(ports[i])])),
    REGISTRY_URL: `http://127.0.0.1:${ports[NAMES.indexOf('registry')]}`,
    KAFKA_BROKERS: secure.brokers.sasl,
    KAFKA_TLS_CA_FILE: secure.authority.caFile,
    KAFKA_SASL_MECHANISM: 'scram-sha-512',
    KAFKA_SASL_USERNAME: USER,
    KAFKA_SASL_PASSWORD_FILE: secretFile('password', PASSWORD),
    API_TOKEN_FILE: secretFile('token', TOKEN),
    LISTEN_HOST: '0.0.0.0',
    DATA_DIR: folder,
    SQLITE_FILE: join(folder, 'store.sqlite'),
    LOG_LEVEL: 'trace',
  }
  for (const name of ['registry', 'stream-jobs', 'sinks', 'query-api', 'producers'] as const)
    services.set(name, await start(name))
})
afterAll(async () => {
  await processes.stopAll()
  await secure?.stop()
  rmSync(folder, { recursive: true, force: true })
})

function secretFile(name: string, text: string): string {
  const path = join(folder, name)
  writeFileSync(path, `${text}\n`, { mode: 0o600 })
  return path
}

const url = (name: ServiceName): string => `http://127.0.0.1:${env[SERVICES[name].port]}`

const start = (name: ServiceName): Promise<ServiceProcess> =>
  processes.start({ main: SERVICES[name].main, env, ready: { url: `${url(name)}/healthz` } })

/** Runs a service to its end, which must come by itself. */
async function endOf(name: ServiceName, more: Record<string, string>): Promise<{ code: number; output: string }> {
  const own = { DATA_DIR: mkdtempSync(join(folder, 'refused-')), [SERVICES[name].port]: '0', ...more }
  const given = Object.fromEntries(Object.entries({ ...env, ...own }).filter(([, value]) => value !== ''))
  const service = await processes.start({ main: SERVICES[name].main, env: given, ready: { output: 'set ' } })
  const code = await service.exited
  return { code, output: service.output() }
}

const ask = (name: ServiceName, path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url(name)}${path}`, { ...init, headers: { authorization: `Bearer ${TOKEN}`, ...init.headers } })

describe('MI-11: off loopback', () => {
  it('a reading goes from HTTP to the store and back by SASL over TLS', async () => {
    const body = JSON.stringify({ sensor_id: 's-1', site_id: 'berlin', ts: Date.now(), power_w: 12.5 })
    const sent = await ask('producers', '/readings', {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect(sent.status).toBe(202)
    const recent = (): Promise<Response> => ask('query-api', '/sensors/s-1/recent?max_staleness=1h')
    await until(async () => (await recent()).status === 200, 'the reading is in the store')
    expect(await (await recent()).json()).toMatchObject({ sensor: 's-1', readings: [{ power_w: 12.5 }] })
  })

  it.each(NAMES)('%s refuses to listen on all addresses without a token, and says what to set', async (name) => {
    const { code, output } = await endOf(name, { API_TOKEN_FILE: '' })
    expect(output.trim()).toBe('LISTEN_HOST is 0.0.0.0, which is not loopback: set API_TOKEN or API_TOKEN_FILE')
    expect(code).toBe(EXIT_CONFIG)
  })

  it.each(NAMES)('%s answers nothing but /healthz without the token', async (name) => {
    expect((await fetch(`${url(name)}/healthz`)).status).toBe(200)
    for (const route of ['GET /readyz', 'GET /metrics', 'GET /nowhere', ...SERVICES[name].routes]) {
      const [method, path] = route.split(' ')
      for (const authorization of ['', 'Bearer ', `Bearer ${TOKEN.slice(1)}`, `Bearer ${TOKEN}x`, TOKEN]) {
        const answer = await fetch(`${url(name)}${path}?token=${TOKEN}`, {
          method,
          headers: { authorization, 'content-type': 'application/json' },
          ...(method === 'GET' ? {} : { body: '{}' }),
        })
        expect(answer.status, `${route} with "${authorization}"`).toBe(401)
        expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/)
        expect(await answer.text()).not.toContain(TOKEN)
      }
      expect((await ask(name, path, { method })).status, route).not.toBe(401)
    }
  })

  it.each(ON_KAFKA)('%s ends with exit code 78 and the variables to set when the password is wrong', async (name) => {
    const { code, output } = await endOf(name, { KAFKA_SASL_PASSWORD_FILE: '', KAFKA_SASL_PASSWORD: WRONG })
    expect(output).toMatch(
      /^the broker does not accept user and password .*: set KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD/m,
    )
    expect(code).toBe(EXIT_CONFIG)
    expect(output).not.toMatch(/^\s+at /m)
    expect(output).not.toContain(WRONG)
  })

  it.each(ON_KAFKA)(
    '%s ends with exit code 78 and the variable to set when it does not trust the broker',
    async (name) => {
      const { code, output } = await endOf(name, { KAFKA_TLS_CA_FILE: secure.stranger.caFile })
      expect(output).toMatch(/^the broker at .* shows a certificate that none .* set KAFKA_TLS_CA_FILE/m)
      expect(code).toBe(EXIT_CONFIG)
      expect(output).not.toMatch(/^\s+at /m)
    },
  )

  it('the command line works by the same settings, and says in one line what is wrong with them', async () => {
    const topics = (more: Record<string, string> = {}): Promise<{ stdout: string }> =>
      run(NODE, ['cli/main.ts', 'topics', 'list'], { cwd: ROOT, env: { PATH: process.env.PATH, ...env, ...more } })
    expect((await topics()).stdout).toContain('telemetry.clean')
    await expect(topics({ KAFKA_TLS_CA_FILE: secure.stranger.caFile })).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^plumbline: the broker at .*set KAFKA_TLS_CA_FILE.*\n$/),
    })
  })

  it('neither token nor password appears in a log or in a process list', async () => {
    for (const name of NAMES) {
      // Whatever makes a service speak: unknown paths, bad bodies, secrets where they do not belong.
      await ask(name, `/${TOKEN}`)
      await ask(name, '/readings', { method: 'POST', body: TOKEN, headers: { 'content-type': 'application/json' } })
      await ask(name, `/subjects/${TOKEN}/versions`, { method: 'POST', body: `{"schema": "${PASSWORD}"` })
    }
    const secrets = [TOKEN, PASSWORD, JSON.stringify(PASSWORD).slice(1, -1), encodeURIComponent(PASSWORD)]
    for (const secret of secrets) {
      for (const [name, service] of services)
        expect(service.output().includes(secret), `${name} logs ${secret}`).toBe(false)
      expect(commandLines().filter((line) => line.includes(secret))).toEqual([])
    }
    for (const [name, service] of services) expect(service.output(), `${name} says something`).toContain('"level"')
  })
})

/** Of every process of this machine. */
function commandLines(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        return [readFileSync(`/proc/${pid}/cmdline`, 'utf8')]
      } catch {
        return [] // it has ended
      }
    })
}
