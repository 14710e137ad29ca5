// A simulated process and its supervisor: it can be killed, stopped, frozen and continued, and however it ends, it is
// restarted after a moment. An exit for a reason that a restart does not fix fails the run.
import { KafkaError, messageOf, PlumblineError, StoreError } from '../platform/errors.ts'
import type { Kafka } from '../platform/kafka/port.ts'
import { FatalRestoreError } from '../stream-jobs/refine/runtime/fatal.ts'
import type { SimBroker } from './broker/broker.ts'
import type { VirtualClock } from './clock.ts'
import { Life } from './life.ts'
import { livingKafka } from './living-kafka.ts'
import type { Trace } from './trace.ts'

export interface Context {
  readonly clock: VirtualClock
  readonly broker: SimBroker
  readonly trace: Trace
  /** Wraps the port, for runs with planted bugs. */
  readonly wrap: (kafka: Kafka, process: string) => Kafka
  /** Called for an error that no fault explains. */
  readonly onProblem: (problem: string) => void
}

/** Runs one life of a service to its end; the signal asks for a clean stop. */
export type RunService = (life: Life, kafka: Kafka, signal: AbortSignal) => Promise<void>

const RESTART_MS = 300

export class SimProcess {
  readonly name: string
  readonly #context: Context
  readonly #run: RunService
  #life: Life | null = null
  /** One per life; the last is the current one's. */
  readonly #stops: AbortController[] = []
  /** False once the run has ended: nothing starts any more. */
  #supervised = true

  constructor(name: string, context: Context, run: RunService) {
    this.name = name
    this.#context = context
    this.#run = run
  }

  get isRunning(): boolean {
    return this.#life !== null
  }

  get isFrozen(): boolean {
    return this.#life?.isFrozen === true
  }

  start(): void {
    if (this.#life !== null) return
    const { clock, broker, trace, wrap } = this.#context
    const life = new Life(this.name, clock)
    this.#life = life
    const stop = new AbortController()
    this.#stops.push(stop)
    trace.event(this.name, `starts life ${this.#stops.length}`)
    const kafka = livingKafka(wrap(broker.kafka(this.name), this.name), life, trace)
    this.#run(life, kafka, stop.signal).then(
      () => this.#ended(life, null),
      (error: unknown) => this.#ended(life, error),
    )
  }

  /** kill -9; restarted after `downMs`. */
  kill(why: string, downMs = RESTART_MS): void {
    if (this.#life === null) return
    this.#context.trace.fault(this.name, `is killed ${why}`)
    this.#end(this.#life)
    this.#restartIn(downMs)
  }

  /** SIGTERM: it exits by itself and is restarted. */
  stop(): void {
    if (this.#life === null) return
    this.#context.trace.fault(this.name, 'is asked to stop')
    this.#stops.at(-1)?.abort()
  }

  freeze(): void {
    if (this.#life === null || this.#life.isFrozen) return
    this.#context.trace.fault(this.name, 'is frozen')
    this.#life.freeze()
    this.#context.broker.freeze(this.name)
  }

  thaw(): void {
    if (this.#life?.isFrozen !== true) return
    this.#context.trace.fault(this.name, 'continues')
    this.#context.broker.unfreeze(this.name)
    this.#life.thaw()
  }

  /** The end of the run. */
  dispose(): void {
    this.#supervised = false
    if (this.#life !== null) this.#end(this.#life)
    // Node keeps combined signals with listeners, and with them the whole run, alive until they fire.
    for (const stop of this.#stops) stop.abort()
  }

  #ended(life: Life, error: unknown): void {
    if (this.#life !== life) return
    const { trace, onProblem } = this.#context
    trace.fault(this.name, error === null ? 'has stopped' : `ends: ${messageOf(error)}`)
    if (error !== null && !isForSupervisor(error)) onProblem(`${this.name} ended: ${describe(error)}`)
    this.#end(life)
    this.#restartIn(RESTART_MS)
  }

  #end(life: Life): void {
    this.#life = null
    life.kill()
    this.#context.broker.disconnect(this.name)
  }

  #restartIn(ms: number): void {
    if (!this.#supervised) return
    void this.#context.clock.sleep(ms).then(() => {
      if (this.#supervised) this.start()
    })
  }
}

/** Errors of the environment, after which a supervisor restarts the process. */
function isForSupervisor(error: unknown): boolean {
  if (error instanceof FatalRestoreError) return false
  if (!(error instanceof KafkaError || error instanceof StoreError || error instanceof PlumblineError)) return false
  return error.code !== 'OFFSET_OUT_OF_RANGE'
}

const describe = (error: unknown): string =>
  error instanceof PlumblineError ? `${error.code}: ${error.message}` : ((error as Error).stack ?? String(error))
