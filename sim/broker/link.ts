// The connection between one process and the broker. A request is in transit for a while, is executed at one moment, and
// its answer is in transit for a while; each step can fail independently. A killed process never gets another answer, a
// frozen one gets it when it wakes up, yet whatever it sent before still arrives: that is what makes zombies.
import { isLineBroken, type LineCode, lineBroken, refused } from './errors.ts'
import type { CallName } from './faults.ts'
import type { Server } from './server.ts'

/** As long as the real adapter retries before it leaves the decision to its caller. */
const PATIENCE_MS = 15_000
const RETRY_MS_MIN = 50
const RETRY_MS_MAX = 1_000

export interface Request {
  readonly call: CallName
  readonly topics?: readonly string[]
  /** May be retried by the client itself, without its caller's knowledge: reads and group membership. */
  readonly patient?: boolean
  /** Requests of one channel arrive in the order in which they were sent. */
  readonly channel?: Channel
}

export class Channel {
  tail: Promise<void> = Promise.resolve()
}

export class Link {
  readonly client: string
  readonly server: Server
  #dead = false
  #frozen: { until: Promise<void>; wake: () => void } | null = null

  constructor(client: string, server: Server) {
    this.client = client
    this.server = server
  }

  kill(): void {
    this.#dead = true
  }

  freeze(): void {
    if (this.#frozen !== null) return
    let wake = (): void => undefined
    const until = new Promise<void>((resolve) => (wake = resolve))
    this.#frozen = { until, wake }
  }

  unfreeze(): void {
    this.#frozen?.wake()
    this.#frozen = null
  }

  /** The process's own sleep: it does not wake up while frozen, and never once dead. */
  async sleep(ms: number): Promise<void> {
    await this.server.clock.sleep(ms)
    await this.#alive()
  }

  /** @throws KafkaError the broker's refusal, or a broken connection */
  async call<T>(request: Request, execute: () => T | Promise<T>): Promise<T> {
    const { clock, random } = this.server
    const givenUpAt = clock.mono() + PATIENCE_MS
    for (let waitMs = RETRY_MS_MIN; ; waitMs = Math.min(RETRY_MS_MAX, waitMs * 2)) {
      try {
        return await this.#once(request, execute)
      } catch (error) {
        if (!request.patient || !isLineBroken(error) || clock.mono() >= givenUpAt) throw error
        await this.sleep(waitMs * (0.8 + 0.4 * random()))
      }
    }
  }

  async #once<T>(request: Request, execute: () => T | Promise<T>): Promise<T> {
    const { server } = this
    const { plan } = server
    await this.#alive()
    const fault = plan.pick(request.call, this.client, request.topics ?? [])
    await this.#alive()
    const { starts } = server
    if (fault === 'crash') throw refused('KafkaJSGroupCoordinatorNotFound', `${request.call}: no coordinator was found`)
    if (fault === 'delay') return this.#delayed(request, execute)
    await this.#arrive(request.channel)
    if (fault === 'reject' || server.starts !== starts) return this.#broken('KafkaJSConnectionClosedError', request)
    if (server.downForMs > 0 && !(await this.#isBack())) return this.#broken('KafkaJSConnectionError', request)
    const outcome = await settle(execute)
    if (fault === 'lose-answer') return this.#givenUp(plan.givenUpAfterMs(), request)
    await this.sleep(plan.latencyMs())
    if (server.starts !== starts) return this.#broken('KafkaJSConnectionClosedError', request)
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }

  /** The request's transit to the broker. What is in transit arrives, whatever happens to its process. */
  async #arrive(channel: Channel | undefined): Promise<void> {
    const latencyMs = this.server.plan.latencyMs()
    if (channel === undefined) return this.server.clock.sleep(latencyMs)
    channel.tail = channel.tail.then(() => this.server.clock.sleep(latencyMs))
    return channel.tail
  }

  /** Waits for a broker that is down, as long as a client would; false: it stayed down. */
  async #isBack(): Promise<boolean> {
    const { server } = this
    await server.clock.sleep(Math.min(server.downForMs, PATIENCE_MS))
    return server.downForMs === 0
  }

  async #delayed<T>(request: Request, execute: () => T | Promise<T>): Promise<T> {
    const { plan } = this.server
    const patienceMs = plan.givenUpAfterMs()
    void this.server.later(patienceMs + plan.lateByMs()).then(() => settle(execute))
    return this.#givenUp(patienceMs, request)
  }

  async #givenUp(afterMs: number, request: Request): Promise<never> {
    await this.sleep(afterMs)
    throw lineBroken('KafkaJSRequestTimeoutError', request.call)
  }

  async #broken(code: LineCode, request: Request): Promise<never> {
    await this.#alive()
    throw lineBroken(code, request.call)
  }

  async #alive(): Promise<void> {
    while (this.#frozen !== null && !this.#dead) await this.#frozen.until
    // A promise of its own, so that whatever waits for it can be garbage-collected with it.
    if (this.#dead) await new Promise<never>(() => undefined)
  }
}

async function settle<T>(execute: () => T | Promise<T>): Promise<{ value: T } | { error: unknown }> {
  try {
    return { value: await execute() }
  } catch (error) {
    return { error }
  }
}
