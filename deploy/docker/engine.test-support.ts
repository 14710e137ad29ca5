// Docker Compose as the tests use it: a project of its own on free ports, so that it neither finds nor leaves anything,
// and one that a person has running stays as it is.
import { execFile, spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePorts } from '../../platform/free-port.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const POLL_MS = 500
const run = promisify(execFile)

export const PORTS = ['QUERY_API', 'PRODUCERS', 'KAFKA', 'REGISTRY', 'PROMETHEUS', 'GRAFANA'] as const
export type Port = (typeof PORTS)[number]

/** What is missing to run the tests; null: nothing. */
export async function missingEngine(): Promise<string | null> {
  const engine = await run('docker', ['info']).catch(() => null)
  if (engine === null) return 'no Docker engine answers: install docker.io (Debian) or Docker Engine, and start dockerd'
  const compose = await run('docker', ['compose', 'version', '--short']).catch(() => null)
  return compose === null ? 'Docker has no compose plugin: install docker-compose-plugin, version 2.24 or newer' : null
}

export interface Container {
  readonly Service: string
  readonly Name: string
  readonly State: string
  readonly Health: string
  readonly Publishers: readonly { URL: string; PublishedPort: number }[] | null
}

export class Compose {
  readonly #env: NodeJS.ProcessEnv
  readonly #ports: Readonly<Record<Port, number>>

  private constructor(env: NodeJS.ProcessEnv, ports: Readonly<Record<Port, number>>) {
    this.#env = env
    this.#ports = ports
  }

  /** @param settings of the pipeline, as a user would set them in the shell */
  static async create(settings: Readonly<Record<string, string>>): Promise<Compose> {
    const free = await freePorts(PORTS.length)
    const ports = Object.fromEntries(PORTS.map((name, i) => [name, free[i]])) as Record<Port, number>
    const named = PORTS.map((name) => [`${name}_PORT`, String(ports[name])])
    return new Compose(
      {
        COMPOSE_FILE: 'docker-compose.yml:deploy/docker/sqlite.yml',
        ...process.env,
        COMPOSE_PROJECT_NAME: `plumbline-test-${process.pid}`,
        ...settings,
        ...Object.fromEntries(named),
      },
      ports,
    )
  }

  url(port: Port, path: string): string {
    return `http://127.0.0.1:${this.#ports[port]}${path}`
  }

  /**
   * Runs `docker compose …` and resolves with its standard output. Rejects with what it printed when it fails.
   * @param input goes into its standard input
   */
  async do(args: readonly string[], input = ''): Promise<string> {
    const child = spawn('docker', ['compose', '--progress', 'quiet', ...args], { cwd: ROOT, env: this.#env })
    child.stdin.end(input)
    const [stdout, stderr, code] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      new Promise((resolve, reject) => child.on('error', reject).on('close', resolve)),
    ])
    if (code === 0) return stdout
    throw new Error(`docker compose ${args.join(' ')} ended with exit code ${String(code)}:\n${stdout}${stderr}`)
  }

  async containers(...services: string[]): Promise<Container[]> {
    const lines = await this.do(['ps', '--format', 'json', ...services])
    return lines
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Container)
  }
}

/** Asks again and again until the answer is not null; then returns it. Fails with the last reason at the deadline. */
export async function eventually<T>(
  what: string,
  seconds: number,
  ask: (why: (reason: string) => void) => Promise<T | null>,
): Promise<T> {
  const deadline = performance.now() + seconds * 1_000
  let reason = 'no answer yet'
  for (;;) {
    const answer = await ask((why) => void (reason = why)).catch((error: unknown) => {
      reason = String(error)
      return null
    })
    if (answer !== null) return answer
    if (performance.now() > deadline) throw new Error(`${what}: not within ${seconds} s: ${reason}`)
    await delay(POLL_MS)
  }
}
