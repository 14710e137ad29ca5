// A Redis for the query API's cache: loopback, a memory bound, and nothing on disk, since a cache that is lost is
// only slow. It never outlives the process that started it (supervise.ts).
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SECRET_NAMES } from '../../platform/config.ts'
import { freePort } from '../../platform/free-port.ts'
import { supervise, tailOf, waitUntil } from './supervise.ts'
import { DeployError } from '../errors.ts'

const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5_000
const MEMORY_MAX = '128mb'
const SERVING = 'Ready to accept connections'

export interface RedisOptions {
  /** Working folder of the server. */
  readonly dataDir: string
  /** 0 takes a free one. */
  readonly port: number
  /** Required of every client; none if not given. Letters, digits, - and _. */
  readonly password?: string
}

export interface RunningRedis {
  /** redis://:password@host:port */
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly exited: Promise<number>
  stop(): Promise<void>
  /** SIGKILL, as a crash would be. */
  kill(): Promise<void>
}

/**
 * Starts redis-server; resolves when it accepts connections.
 * @throws PlumblineError REDIS_START with what the server said
 */
export async function startRedis({ dataDir, port, password }: RedisOptions): Promise<RunningRedis> {
  mkdirSync(dataDir, { recursive: true })
  const listenPort = port === 0 ? await freePort() : port
  const settings = {
    bind: '127.0.0.1',
    port: String(listenPort),
    dir: dataDir,
    save: '',
    appendonly: 'no',
    maxmemory: MEMORY_MAX,
    'maxmemory-policy': 'allkeys-lru',
    ...(password === undefined ? {} : { requirepass: password }),
  }
  // A file, since everybody on the machine can read a process's arguments.
  const file = join(dataDir, 'redis.conf')
  const lines = Object.entries(settings).map(([name, value]) => `${name} ${JSON.stringify(value)}\n`)
  writeFileSync(file, lines.join(''), { mode: 0o600 })
  const redis = await supervise({ command: 'redis-server', args: [file], without: SECRET_NAMES })
  const said = tailOf([redis.stdout, redis.stderr], 4_000)
  const startup = await waitUntil(redis, () => said.text().includes(SERVING), START_TIMEOUT_MS)
  if (!startup.ready) {
    await redis.kill()
    throw new DeployError('REDIS_START', `redis-server on port ${listenPort} ${startup.why}:\n${said.text().trim()}`)
  }
  return {
    url: `redis://${password === undefined ? '' : `:${password}@`}127.0.0.1:${listenPort}`,
    port: listenPort,
    pid: redis.pid,
    exited: redis.exited,
    stop: async () => void (await redis.stop(STOP_TIMEOUT_MS)),
    kill: redis.kill,
  }
}
