// Puts units into the store, one transaction after the other. It waits a little so that partitions share a
// transaction, writes, and on failure tries the same rows again with growing pauses: nothing is dropped and nothing
// piles up, since every partition waits for its one unit. A unit leaves unwritten only when its partition is no
// longer ours.
import { setTimeout as delay } from 'node:timers/promises'
import { backoffMs } from '../platform/backoff.ts'
import { messageOf, StoreError } from '../platform/errors.ts'
import type { CheckResult } from '../platform/health.ts'
import type { Logger } from '../platform/log.ts'
import type { Store } from '../platform/store/port.ts'
import { BATCH_ROWS, composeBatch, type Lane, takeUnits, type Unit, unitRows } from './core/batch.ts'
import type { SinkMetrics } from './sink-metrics.ts'

const RETRY = { baseMs: 100, capMs: 5_000 }

/** Unwritten: the partition has gone, or the store has been moved on by another sink. */
export type Outcome = 'written' | 'dropped'

interface Waiting extends Unit {
  readonly settle: (outcome: Outcome) => void
}

export interface WriterOptions {
  readonly store: Store
  readonly lingerMs: number
  readonly log: Logger
  readonly metrics: SinkMetrics
  /** The store stands elsewhere than the lane believes: it must be read again. */
  readonly onMoved: (lane: Lane) => void
}

export class StoreWriter {
  readonly #options: WriterOptions
  readonly #waiting: Waiting[] = []
  readonly #touched = new Set<Lane>()
  #failing: string | null = null
  #stopped = false
  #ended = false
  #wake: () => void = () => {}
  readonly #running: Promise<void>

  constructor(options: WriterOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  /** Resolves when the unit is in the store, or is not going to be. One unit per lane at a time. */
  submit(unit: Unit): Promise<Outcome> {
    if (this.#ended) return Promise.resolve('dropped')
    unit.lane.busy = true
    return new Promise((settle) => {
      this.#waiting.push({ ...unit, settle })
      this.#wake()
    })
  }

  /** Has the lane's progress written with the next batch, or now if there is none. */
  touch(lane: Lane): void {
    this.#touched.add(lane)
    this.#wake()
  }

  check(): CheckResult {
    return this.#failing === null
      ? { ready: true, detail: 'the store takes rows' }
      : { ready: false, detail: this.#failing }
  }

  /** Ends after what waits is written; while the store fails it is dropped instead, and read again at the next start. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#wake()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopped || this.#waiting.length > 0) {
      if (this.#waiting.length === 0 && this.#touched.size === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      if (this.#waiting.length > 0) await this.#linger()
      const units = takeUnits(this.#waiting) as Waiting[]
      const touched = [...this.#touched]
      this.#touched.clear()
      await this.#writePatiently(units, touched)
    }
    this.#ended = true
  }

  async #linger(): Promise<void> {
    const deadline = performance.now() + this.#options.lingerMs
    for (;;) {
      const left = deadline - performance.now()
      if (left <= 0 || this.#stopped || this.#waiting.reduce((sum, unit) => sum + unitRows(unit), 0) >= BATCH_ROWS)
        return
      let timer: NodeJS.Timeout | undefined
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  async #writePatiently(taken: readonly Waiting[], touched: readonly Lane[]): Promise<void> {
    let units = taken
    for (let attempt = 0; ; attempt += 1) {
      units = settleGone(units)
      // Lanes with a unit take their step with it; a lane may have gone or become busy since it was touched.
      const idle = touched.filter((lane) => lane.active && lane.started && !units.some((unit) => unit.lane === lane))
      if (units.length === 0 && idle.length === 0) return
      try {
        await this.#write(units, idle)
        return
      } catch (error) {
        if (isMoved(error)) this.#moved(error, [...units.map((unit) => unit.lane), ...idle])
        else await this.#pauseAfter(error, attempt)
        if (this.#stopped && this.#failing !== null) for (const { lane } of units) lane.active = false
      }
    }
  }

  async #write(units: readonly Waiting[], idle: readonly Lane[]): Promise<void> {
    const { store, metrics } = this.#options
    const started = performance.now()
    await store.write(composeBatch(units, idle))
    this.#failing = null
    metrics.written(units, (performance.now() - started) / 1000, Date.now())
    for (const { lane, nextOffset } of units) lane.position = nextOffset
    for (const lane of [...units.map((unit) => unit.lane), ...idle]) {
      lane.stored = lane.position
      lane.savedMs = Date.now()
    }
    for (const { lane, settle } of units) {
      lane.busy = false
      settle('written')
    }
  }

  #moved(error: StoreError, lanes: readonly Lane[]): void {
    const lane = lanes.find(({ topic, partition }) => topic === error.topic && partition === error.partition)
    if (lane === undefined) throw error
    lane.active = false
    this.#options.log.warn({ topic: lane.topic, partition: lane.partition }, error.message)
    this.#options.onMoved(lane)
  }

  async #pauseAfter(error: unknown, attempt: number): Promise<void> {
    this.#failing = `writing to the store fails: ${messageOf(error)}`
    this.#options.metrics.writeFailures.inc()
    this.#options.log.error({ err: error, attempt }, 'the store did not take a batch; trying again')
    if (!this.#stopped) await delay(backoffMs(RETRY, attempt, Math.random))
  }
}

/** Settles units whose lane has gone and returns the others. */
function settleGone(units: readonly Waiting[]): Waiting[] {
  return units.filter(({ lane, settle }) => {
    if (lane.active) return true
    lane.busy = false
    settle('dropped')
    return false
  })
}

const isMoved = (error: unknown): error is StoreError => error instanceof StoreError && error.code === 'STORE_MOVED'
