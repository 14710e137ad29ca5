// Puts units into the store, one transaction after the other. It waits a little so that partitions share a
// transaction, and writes as many rows as the store takes in good time. What a failed write means decides what follows:
//
//   outage → the same rows again when the gate lets them; nothing is dropped and nothing piles up, since every partition
//            waits for its one unit. Bound: one fetch per partition, 16 MiB of records over all of them.
//   poison → the batch is halved until each bad row stands alone; these go to the dead-letter topic, all others in.
//   moved  → the partition is another sink's; its unit is dropped.
//
// A unit leaves unwritten only when its partition is no longer ours.
import type { Clock } from '../platform/clock.ts'
import { StoreError } from '../platform/errors.ts'
import type { CheckResult } from '../platform/health.ts'
import type { FetchedBatch } from '../platform/kafka/port.ts'
import type { Logger } from '../platform/log.ts'
import type { Store, WriteBatch } from '../platform/store/port.ts'
import { classifyFailure, type StoreFailure, type StorePoisonError } from '../platform/store/store-errors.ts'
import { BATCH_ROWS_MAX, nextLimit } from './core/batch-limit.ts'
import {
  composeBatch,
  composeRows,
  type Lane,
  offsetAfter,
  type Slice,
  sliceRows,
  takeSlices,
  type Unit,
  unitRows,
  type Waiting,
} from './core/batch.ts'
import { type Reject, rejectsAt } from './core/decode.ts'
import { PoisonSearch } from './core/poison.ts'
import { patiently, settlesWithin } from './patience.ts'
import type { SinkMetrics } from './sink-metrics.ts'
import { StoreGate } from './store-gate.ts'
import { writeWithin } from './timed-write.ts'

/** Unwritten: the partition has gone, or the store has been moved on by another sink. */
export type Outcome = 'written' | 'dropped'

interface Submitted extends Waiting {
  readonly settle: (outcome: Outcome) => void
}

export interface WriterOptions {
  readonly clock: Clock
  readonly random: () => number
  readonly store: Pick<Store, 'write'>
  readonly lingerMs: number
  /** For one write. */
  readonly timeoutMs: number
  readonly log: Logger
  readonly metrics: SinkMetrics
  /** Sends rows that the store will never take to the dead-letter topic; what it rejects with may be retriable. */
  readonly deadLetter: (batch: FetchedBatch, rejects: readonly Reject[]) => Promise<void>
  /** The store stands elsewhere than the lane believes: it must be read again. */
  readonly onMoved: (lane: Lane) => void
  /** The store is away (true) or back: whether new units are wanted. */
  readonly onOpen: (isOpen: boolean) => void
  /** The writer has ended and nothing is written any more. */
  readonly onFailed: (error: unknown) => void
}

export class StoreWriter {
  readonly #options: WriterOptions
  readonly #gate: StoreGate
  readonly #waiting: Submitted[] = []
  readonly #touched = new Set<Lane>()
  #limit = BATCH_ROWS_MAX
  readonly #stopping = new AbortController()
  #ended = false
  #wake: () => void = () => {}
  readonly #running: Promise<void>

  constructor(options: WriterOptions) {
    this.#options = options
    const { clock, random, metrics, log, onOpen } = options
    this.#gate = new StoreGate({ clock, random, metrics, log, onOpen })
    metrics.limit(this.#limit)
    this.#running = this.#run()
      .catch(options.onFailed)
      .finally(() => this.#end())
  }

  /** Resolves when the unit is in the store, or is not going to be. One unit per lane at a time. */
  submit(unit: Unit): Promise<Outcome> {
    if (this.#ended) return Promise.resolve('dropped')
    unit.lane.busy = true
    return new Promise((settle) => {
      this.#waiting.push({ ...unit, done: 0, settle })
      this.#options.metrics.waitingRows(this.#waitingRows())
      this.#wake()
    })
  }

  /** Has the lane's progress written with the next batch, or now if there is none. */
  touch(lane: Lane): void {
    this.#touched.add(lane)
    this.#wake()
  }

  /** While true, new units are not wanted. */
  get isOpen(): boolean {
    return this.#gate.isOpen
  }

  check(): CheckResult {
    const { ready, detail } = this.#gate.check()
    return { ready, detail: `${detail}; ${this.#waiting.length} fetches wait, ${this.#limit} rows per batch at most` }
  }

  /** Ends after what waits is written; while the store fails it is dropped instead, and read again at the next start. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#wake()
    await this.#running
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted
  }

  async #run(): Promise<void> {
    while (!this.#stopped || (this.#waiting.length > 0 && !this.#gate.isFailing)) {
      if (this.#waiting.length === 0 && this.#touched.size === 0) {
        await new Promise<void>((resolve) => (this.#wake = resolve))
        continue
      }
      if (!this.#gate.isFailing) await this.#linger()
      this.#settle((unit) => (unit.lane.active ? null : 'dropped'))
      const slices = takeSlices(this.#waiting, this.#limit)
      const idle = this.#takeIdle()
      if (slices.length + idle.length > 0) await this.#put(slices, idle)
    }
  }

  /** What still waits is read again by the next owner of its partition. */
  #end(): void {
    this.#ended = true
    this.#settle(() => 'dropped')
  }

  async #linger(): Promise<void> {
    if (this.#waiting.length === 0) return
    const { clock, lingerMs } = this.#options
    const deadline = clock.mono() + lingerMs
    for (;;) {
      const left = deadline - clock.mono()
      if (left <= 0 || this.#stopped || this.#waitingRows() >= this.#limit) return
      await settlesWithin(new Promise<void>((resolve) => (this.#wake = resolve)), left, clock)
    }
  }

  /** Lanes with a unit take their step with it; a lane may have gone or become busy since it was touched. */
  #takeIdle(): Lane[] {
    const idle = [...this.#touched].filter(
      (lane) => lane.active && lane.started && !this.#waiting.some((unit) => unit.lane === lane),
    )
    this.#touched.clear()
    return idle
  }

  async #put(slices: readonly Slice<Submitted>[], idle: readonly Lane[]): Promise<void> {
    const batch = composeBatch(slices, idle)
    const failure = await this.#try(batch, slices)
    if (failure === null) return this.#advance(slices, idle, batch)
    for (const lane of idle) this.#touched.add(lane)
    switch (failure.kind) {
      case 'outage':
        return this.#gate.pause(this.#stopping.signal)
      case 'poison':
        return this.#sift(slices, failure.error)
      case 'moved':
        return this.#moved(failure.error, [...slices.map(({ unit }) => unit.lane), ...idle])
    }
  }

  /** One write. @returns null when the store has taken it */
  async #try(batch: WriteBatch, slices: readonly Slice[]): Promise<StoreFailure | null> {
    const { store, timeoutMs, metrics, clock } = this.#options
    const rows = sliceRows(slices)
    const started = clock.mono()
    const failure = await writeWithin(store, batch, timeoutMs, clock).then(
      () => null,
      (error: unknown) => classify(error, rows),
    )
    const tookMs = clock.mono() - started
    if (failure?.kind === 'outage') this.#gate.failed(failure.reason)
    else this.#gate.succeeded()
    if (failure === null) metrics.written(slices, tookMs / 1_000, clock.now())
    this.#limit = nextLimit(this.#limit, { rows, tookMs, timeoutMs })
    metrics.limit(this.#limit)
    return failure
  }

  /** The store has the slices, and the progress as the batch says it: an idle lane may have been moved on meanwhile. */
  #advance(slices: readonly Slice<Submitted>[], idle: readonly Lane[], { progress }: WriteBatch): void {
    for (const slice of slices) {
      slice.unit.done = slice.to
      slice.unit.lane.position = offsetAfter(slice)
    }
    for (const [i, lane] of [...slices.map(({ unit }) => unit.lane), ...idle].entries()) {
      lane.stored = progress[i].offset
      lane.savedMs = this.#options.clock.now()
    }
    this.#settle((unit) => (unit.lane.stored === unit.nextOffset ? 'written' : null))
  }

  /** Brings every row but the bad ones into the store, these to the dead-letter topic; progress follows with the next batch. */
  async #sift(slices: readonly Slice<Submitted>[], { message, refused }: StorePoisonError): Promise<void> {
    const search = new PoisonSearch(slices)
    // Without names the batch's progress may have been at fault, not a row.
    if (refused.length > 0) search.refused(slices, message, refused)
    for (let part = search.next; part !== null; part = search.next) {
      if (this.#stopped && this.#gate.isFailing) return
      const wanted = part.filter(({ unit }) => unit.lane.active)
      const failure = wanted.length === 0 ? null : await this.#try(composeRows(wanted), wanted)
      if (failure === null) search.passed()
      else if (failure.kind === 'poison') search.refused(wanted, failure.error.message, failure.error.refused)
      else await this.#gate.pause(this.#stopping.signal)
    }
    for (const { unit, to } of slices) {
      const reasons = new Map(
        search.found.filter((row) => row.unit === unit).map(({ row, reason }) => [unit.offsets[row], reason]),
      )
      const isDone = reasons.size === 0 || (await this.#deadLetter(unit, rejectsAt(unit.batch, reasons)))
      if (isDone) unit.done = to
      // Given up, or it would come round again at once and for ever: it is read again by the partition's next owner.
      else unit.lane.active = false
    }
  }

  /** @returns false when the unit is no longer wanted */
  async #deadLetter({ lane, batch }: Unit, rejects: readonly Reject[]): Promise<boolean> {
    const { clock, random, log, deadLetter, metrics } = this.#options
    const { topic, partition } = lane
    const { length: records, 0: first } = rejects
    log.warn({ topic, partition, records, reason: first.reason }, 'the store refuses rows: they are dead-lettered')
    const isWanted = (): boolean => lane.active && !this.#stopped
    const send = async (): Promise<true> => {
      await deadLetter(batch, rejects)
      return true
    }
    if ((await patiently('sending dead letters', { clock, random, log, isWanted }, send)) === null) return false
    metrics.deadLetters.inc({ topic, reason: 'poison' }, records)
    return true
  }

  #moved(error: StoreError, lanes: readonly Lane[]): void {
    const lane = lanes.find(({ topic, partition }) => topic === error.topic && partition === error.partition)
    if (lane === undefined) throw error
    lane.active = false
    this.#options.log.warn({ topic: lane.topic, partition: lane.partition }, error.message)
    this.#options.onMoved(lane)
  }

  /** Lets go of the units that have an outcome. */
  #settle(outcomeOf: (unit: Submitted) => Outcome | null): void {
    for (const unit of [...this.#waiting]) {
      const outcome = outcomeOf(unit)
      if (outcome === null) continue
      this.#waiting.splice(this.#waiting.indexOf(unit), 1)
      unit.lane.busy = false
      unit.settle(outcome)
    }
    this.#options.metrics.waitingRows(this.#waitingRows())
  }

  #waitingRows(): number {
    return this.#waiting.reduce((sum, unit) => sum + unitRows(unit) - unit.done, 0)
  }
}

/** Rows cannot be at fault where there are none. Rethrows what ends the process. */
function classify(error: unknown, rows: number): StoreFailure {
  if (error instanceof StoreError && error.code === 'STORE_STUCK') throw error
  const failure = classifyFailure(error)
  return failure.kind === 'poison' && rows === 0 ? { kind: 'outage', reason: failure.error.message } : failure
}
