// Kafka and Redis as parts of the stack: started once by us, restarted on the same port when they exit by
// themselves, and stopped last.
import { backoffMs } from '../../platform/backoff.ts'
import { pause } from '../../platform/retry.ts'

const RESTART = { baseMs: 500, capMs: 15_000 }

export interface Server {
  readonly port: number
  readonly pid: number
  readonly exited: Promise<number>
  stop(): Promise<void>
  kill(): Promise<void>
}

export class ServerSupervisor {
  restarts = 0
  readonly #start: (port: number) => Promise<Server>
  readonly #stopping = new AbortController()
  #starting: Promise<Server> | null = null
  #server: Server | null = null

  /** @param start starts the server on a port; 0 takes a free one */
  constructor(start: (port: number) => Promise<Server>) {
    this.#start = start
  }

  /** Port of the running server; 0 before the start. */
  get pid(): number {
    return this.#server?.pid ?? 0
  }

  /** Rejects when the first start fails; later ones are retried. Resolves with the port. */
  async start(port: number): Promise<number> {
    const server = await this.#launch(port)
    void this.#keep(server)
    return server.port
  }

  async stop(): Promise<void> {
    await this.#end((server) => server.stop())
  }

  async kill(): Promise<void> {
    await this.#end((server) => server.kill())
  }

  async #launch(port: number): Promise<Server> {
    this.#starting = this.#start(port)
    this.#server = await this.#starting
    return this.#server
  }

  async #keep(server: Server): Promise<void> {
    const { signal } = this.#stopping
    // Not `retry`: what follows a successful start is the wait for the next exit.
    for (let attempt = 0; ; attempt += 1) {
      await server.exited
      await pause(backoffMs(RESTART, attempt, Math.random), signal)
      if (signal.aborted) return
      this.restarts += 1
      try {
        server = await this.#launch(server.port)
        attempt = 0
      } catch {
        // Its output is in its log; the loop retries, since `exited` of the former server stays resolved.
      }
    }
  }

  async #end(how: (server: Server) => Promise<void>): Promise<void> {
    this.#stopping.abort()
    // A start in progress must not leave a server running.
    await this.#starting?.catch(() => undefined)
    if (this.#server !== null) await how(this.#server)
  }
}
