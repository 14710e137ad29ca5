// What `up` starts: the services with their ports and environments, and the checks that can be made before anything is
// started. Everything is on loopback; addresses of parts that `up` starts itself are generated here, not configured.
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { freePort, isPortFree } from '../../platform/free-port.ts'
import { type Config, loadConfig } from '../../platform/config.ts'
import { ConfigError } from '../../platform/errors.ts'
import { ownerText, portOwner } from '../../platform/port-owner.ts'
import { isRunning, readRecord } from './instance.ts'
import type { ServiceSpec } from './service.ts'
import type { Progress } from './steps.ts'
import { DeployError } from '../errors.ts'

/** A killed instance's processes are stopped by their supervisors, which take at most 20 s. */
const FORMER_WAIT_MS = 40_000
const FORMER_POLL_MS = 200
const ANYWHERE = new Set(['0.0.0.0', '::'])

const SERVICES = {
  registry: { main: 'registry/main.ts', port: 'REGISTRY_PORT' },
  'stream-jobs': { main: 'stream-jobs/main.ts', port: 'STREAM_JOBS_PORT' },
  sinks: { main: 'sinks/main.ts', port: 'SINKS_PORT' },
  'query-api': { main: 'query-api/main.ts', port: 'QUERY_API_PORT' },
  producers: { main: 'producers/main.ts', port: 'PRODUCERS_PORT' },
} as const

/** Any number of these, each on an ephemeral port: so none is among the addresses given to others. */
const REPLICA_MAIN = 'sinks/replica/main.ts'

type FixedService = keyof typeof SERVICES
export type ServiceName = FixedService | 'replica'
type PortSetting = (typeof SERVICES)[FixedService]['port']

export interface Plan {
  readonly config: Config
  readonly kafkaPort: number
  /** Settings with which other commands find the parts. */
  readonly addresses: Readonly<Record<string, string>>
  readonly services: Readonly<Record<ServiceName, readonly ServiceSpec[]>>
}

export interface PlanOptions {
  /** Processes that share the work of refine. */
  readonly streamJobs: number
  readonly replicas: number
  /** Command line of the producers. */
  readonly fleet: readonly string[]
}

/**
 * @param env the whole environment
 * @throws ConfigError; PlumblineError PORT_IN_USE naming the variable to change
 */
export async function makePlan(
  env: Readonly<Record<string, string>>,
  { streamJobs, replicas, fleet }: PlanOptions,
): Promise<Plan> {
  const config = loadConfig(env)
  const kafkaPort = await usable(portOfBroker(config.KAFKA_BROKERS), 'KAFKA_BROKERS')
  const ports = {} as Record<PortSetting, number>
  for (const { port } of Object.values(SERVICES)) ports[port] = await usable(config[port], port)
  const host = ANYWHERE.has(config.LISTEN_HOST) ? '127.0.0.1' : config.LISTEN_HOST
  const addresses: Record<string, string> = {
    KAFKA_BROKERS: `127.0.0.1:${kafkaPort}`,
    REGISTRY_URL: `http://${host}:${ports.REGISTRY_PORT}`,
    ...Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, String(port)])),
  }
  const anySpec = (name: ServiceName, main: string, portSetting: string, label: string, port: number): ServiceSpec => ({
    name: label,
    service: name,
    main,
    args: [],
    url: `http://${host}:${port}`,
    env: { ...env, ...addresses, [portSetting]: String(port) },
    token: config.API_TOKEN,
    logFile: join(config.DATA_DIR, 'logs', `${label}.log`),
  })
  const spec = (name: FixedService, label: string, port: number): ServiceSpec =>
    anySpec(name, SERVICES[name].main, SERVICES[name].port, label, port)
  const one = (name: FixedService): ServiceSpec[] => [spec(name, name, ports[SERVICES[name].port])]
  const shared = one('stream-jobs')
  for (let i = 2; i <= streamJobs; i += 1) shared.push(spec('stream-jobs', `stream-jobs-${i}`, await freePort()))
  const copies: ServiceSpec[] = []
  for (let i = 1; i <= replicas; i += 1) {
    const started = anySpec('replica', REPLICA_MAIN, 'REPLICA_PORT', `replica-${i}`, await freePort())
    // A killed replica resumes, and so does the next "up": to start over, remove its folder.
    copies.push({ ...started, args: ['--id', `r${i}`, `--dir=${join(config.DATA_DIR, 'replicas')}`, '--resume'] })
  }
  return {
    config: loadConfig({ ...env, ...addresses }),
    kafkaPort,
    addresses,
    services: {
      registry: one('registry'),
      'stream-jobs': shared,
      sinks: one('sinks'),
      replica: copies,
      'query-api': one('query-api'),
      producers: one('producers').map((producers) => ({ ...producers, args: fleet })),
    },
  }
}

/** Waits until the processes of a killed instance are gone; deploy/local/kafka.ts waits for its broker. */
export async function awaitFormer(dataDir: string, progress: Progress): Promise<void> {
  const services = readRecord(dataDir)?.services ?? []
  for (let waitedMs = 0; ; waitedMs += FORMER_POLL_MS) {
    const left = services.filter(({ pid, main }) => isRunning(pid, main))
    if (left.length === 0) return
    const names = left.map(({ name, pid }) => `${name} (process ${pid})`).join(', ')
    if (waitedMs >= FORMER_WAIT_MS)
      throw new DeployError('FORMER_RUNNING', `processes of a former run do not end: ${names}; kill them and try again`)
    progress(`waiting for processes of the former run to end: ${names}`)
    await delay(FORMER_POLL_MS)
  }
}

function portOfBroker(brokers: string): number {
  const match = /^(?:127\.0\.0\.1|localhost):(\d+)$/.exec(brokers)
  if (match === null)
    throw new ConfigError(
      `KAFKA_BROKERS is ${brokers}: "up" starts its own broker, so it must be one port of 127.0.0.1`,
    )
  return Number(match[1])
}

async function usable(port: number, setting: string): Promise<number> {
  if (port === 0) return freePort()
  if (await isPortFree(port)) return port
  const example = setting === 'KAFKA_BROKERS' ? `127.0.0.1:${port + 1}` : String(port + 100)
  throw new DeployError(
    'PORT_IN_USE',
    `port ${port} is in use: stop ${ownerText(portOwner(port))}, or choose another port, for instance ${setting}=${example}`,
  )
}
