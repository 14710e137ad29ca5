// One life of a simulated process: everything that could wake its code goes through here. After kill -9 nothing wakes it
// any more, whatever is still in flight; while it is frozen, events are queued and delivered late, when it continues, as
// with SIGSTOP and SIGCONT. So a dead process is dead at its next await, and a zombie is a zombie.
import type { Clock } from '../platform/clock.ts'
import type { VirtualClock } from './clock.ts'

export class Life {
  readonly name: string
  readonly clock: Clock
  #state: 'alive' | 'frozen' | 'dead' = 'alive'
  readonly #kept: (() => void)[] = []
  readonly #onDeath: (() => void)[] = []

  constructor(name: string, clock: VirtualClock) {
    this.name = name
    this.clock = {
      now: () => clock.now(),
      mono: () => clock.mono(),
      sleep: (ms, signal) => this.pass(clock.sleep(ms, signal)),
    }
  }

  get isAlive(): boolean {
    return this.#state !== 'dead'
  }

  get isFrozen(): boolean {
    return this.#state === 'frozen'
  }

  /** A promise from the outside world as this process sees it. */
  pass<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      promise.then(
        (value) => this.deliver(() => resolve(value)),
        (error: unknown) => this.deliver(() => reject(error as Error)),
      )
    })
  }

  /** Runs some of the process's code: now, when it continues, or never. */
  deliver(run: () => void): void {
    if (this.#state === 'alive') run()
    else if (this.#state === 'frozen') this.#kept.push(run)
  }

  /** A call to the outside world; a dead process makes none. */
  call<T>(run: () => Promise<T>): Promise<T> {
    return this.#state === 'dead' ? new Promise<T>(() => undefined) : this.pass(run())
  }

  /** What the system does when the process is gone: closes its files. */
  onDeath(run: () => void): void {
    this.#onDeath.push(run)
  }

  kill(): void {
    if (this.#state === 'dead') return
    this.#state = 'dead'
    this.#kept.length = 0
    for (const run of this.#onDeath.splice(0)) run()
  }

  freeze(): void {
    if (this.#state === 'alive') this.#state = 'frozen'
  }

  thaw(): void {
    if (this.#state !== 'frozen') return
    this.#state = 'alive'
    for (const run of this.#kept.splice(0)) this.deliver(run)
  }
}
