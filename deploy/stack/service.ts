// One of our processes under supervision: started, watched, restarted with backoff when it exits by itself, stopped by
// SIGTERM. A service that exits because of its configuration is not restarted: that would only repeat the message.
import { ownerText, portOwner } from '../../platform/port-owner.ts'
import { backoffMs } from '../../platform/backoff.ts'
import type { PlumblineError } from '../../platform/errors.ts'
import { messageOf } from '../../platform/errors.ts'
import { EXIT_CONFIG } from '../../platform/lifecycle.ts'
import { pause } from '../../platform/retry.ts'
import { supervise, type Supervised } from '../local/supervise.ts'
import { NODE, ROOT } from '../paths.ts'
import { LogFile } from './log-file.ts'
import { DeployError } from '../errors.ts'

const RESTART = { baseMs: 500, capMs: 15_000 }
/** After a run this long the next failure counts as a new one. */
const STABLE_MS = 60_000
/** A start takes a second or two; restoring a large state on a busy machine takes longer. */
const READY_TIMEOUT_MS = 120_000
/** A process that exits this often before it was ever ready will not become ready. */
const START_TRIES = 3
const READY_POLL_MS = 100
const PROBE_TIMEOUT_MS = 2_000
const STOP_TIMEOUT_MS = 45_000
const NO_ANSWER = 'it does not answer yet'
const ERROR_LINES = 6

export interface ServiceSpec {
  /** Of the process; a service may have several. */
  readonly name: string
  readonly service: string
  /** From the root of the checkout: sinks/main.ts. */
  readonly main: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where it serves health and metrics. */
  readonly url: string
  readonly token: string | undefined
  readonly logFile: string
}

export type ServiceState =
  | { readonly kind: 'starting' }
  | { readonly kind: 'running'; readonly pid: number }
  | { readonly kind: 'waiting'; readonly exitCode: number }
  | { readonly kind: 'failed'; readonly why: string }
  | { readonly kind: 'stopped' }

export class Service {
  readonly spec: ServiceSpec
  restarts = 0
  state: ServiceState = { kind: 'starting' }
  readonly #log: LogFile
  readonly #onChange: () => void
  readonly #stopping = new AbortController()
  #child: Supervised | null = null
  /** The child that is known to have the port. */
  #listener: number | null = null
  #life: Promise<void> | null = null

  /** @param onChange called after every change of state */
  constructor(spec: ServiceSpec, onChange: () => void) {
    this.spec = spec
    this.#log = new LogFile(spec.logFile)
    this.#onChange = onChange
  }

  /**
   * Starts the process and resolves when it says that it is ready.
   * @param onWaiting called repeatedly with why it is not ready yet
   * @throws PlumblineError SERVICE_FAILED with the end of its output
   */
  async start(onWaiting: (why: string) => void): Promise<void> {
    this.#life = this.#live().catch((error: unknown) => this.#set({ kind: 'failed', why: messageOf(error) }))
    const deadline = performance.now() + READY_TIMEOUT_MS
    let why = NO_ANSWER
    while (!this.#stopping.signal.aborted) {
      if (this.state.kind === 'failed') throw this.#failure(this.state.why)
      const answer = await this.#probe()
      if (answer === null) return
      why = answer
      onWaiting(why)
      if (this.restarts >= START_TRIES) throw this.#failure(why)
      if (performance.now() > deadline)
        throw this.#failure(`was not ready within ${READY_TIMEOUT_MS / 1_000} s: ${why}`)
      await pause(READY_POLL_MS)
    }
  }

  /** SIGTERM, SIGKILL if that takes too long. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#child?.stop(STOP_TIMEOUT_MS)
    await this.#life
    await this.#log.close()
  }

  /** SIGKILL, for an operator who does not want to wait. */
  async kill(): Promise<void> {
    this.#stopping.abort()
    await this.#child?.kill()
    await this.#life
  }

  async #live(): Promise<void> {
    const { signal } = this.#stopping
    // Not `retry`: a process does not succeed, it exits, and how long it ran decides how long to wait.
    for (let attempt = 0; !signal.aborted; attempt += 1) {
      const startedAt = performance.now()
      const code = await this.#runOnce()
      if (signal.aborted) break
      if (code === EXIT_CONFIG) return this.#set({ kind: 'failed', why: 'refuses its configuration' })
      this.#set({ kind: 'waiting', exitCode: code })
      if (performance.now() - startedAt > STABLE_MS) attempt = 0
      await pause(backoffMs(RESTART, attempt, Math.random), signal)
      if (!signal.aborted) this.restarts += 1
    }
    this.#set({ kind: 'stopped' })
  }

  async #runOnce(): Promise<number> {
    const { main, args, env } = this.spec
    const child = await supervise({ command: NODE, args: [main, ...args], cwd: ROOT, env })
    this.#log.attach(child.stdout, child.stderr)
    this.#child = child
    this.#set({ kind: 'running', pid: child.pid })
    // Stopped while starting: the stop found no child to signal.
    if (this.#stopping.signal.aborted) return child.stop(STOP_TIMEOUT_MS)
    return child.exited
  }

  /** Null when it is ready; otherwise why not. */
  async #probe(): Promise<string | null> {
    const stranger = this.#stranger()
    if (stranger !== null) return stranger
    const headers = this.spec.token === undefined ? {} : { authorization: `Bearer ${this.spec.token}` }
    try {
      const response = await fetch(`${this.spec.url}/readyz`, {
        headers,
        signal: AbortSignal.timeout(PROBE_TIMEOUT_MS),
      })
      if (response.ok) {
        await response.body?.cancel()
        return null
      }
      const { checks = {} } = (await response.json()) as { checks?: Record<string, { ready: boolean; detail: string }> }
      const unready = Object.entries(checks).filter(([, check]) => !check.ready)
      return unready.map(([name, check]) => `${name}: ${check.detail}`).join('; ') || `answers ${response.status}`
    } catch {
      return this.state.kind === 'waiting' ? `ended with exit code ${this.state.exitCode}` : NO_ANSWER
    }
  }

  /** Another process took the port after it had been found free: its answers are not ours. Null: nobody else has it. */
  #stranger(): string | null {
    const pid = this.#child?.pid
    if (pid !== undefined && pid === this.#listener) return null
    const { port } = new URL(this.spec.url)
    const found = portOwner(Number(port))
    if (found?.pid === pid) this.#listener = pid ?? null
    if (found === null || found.pid === pid) return null
    return `cannot have its port ${port}: ${ownerText(found)} listens there; stop it, or choose another port`
  }

  #set(state: ServiceState): void {
    this.state = state
    this.#onChange()
  }

  #failure(why: string): PlumblineError {
    const said = this.#log.lastLines(ERROR_LINES)
    return new DeployError('SERVICE_FAILED', `${this.spec.name} ${why}; the end of ${this.spec.logFile}:\n${said}`)
  }
}
