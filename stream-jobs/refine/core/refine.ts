// The core of refine: a deterministic function from a raw partition's records to clean, late, anomalies and dead
// letters. Its only clock is the arrival time of its input, clamped to non-decreasing; its settings are input, too. So
// running it again over the same records gives the same state and the same outputs, which is what recovery rests on.
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import { scanProblem } from '../../../platform/codec/reading-decoder.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { readingProblem } from '../../../platform/codec/reading-verdict.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { conflictDetail, contentProblem, partitionProblem } from './acceptance.ts'
import { contentHash } from './content-hash.ts'
import { isReplayedAsLate, readControl } from './control.ts'
import { detect } from './detect.ts'
import { type Due, DueQueue } from './due-queue.ts'
import { type Held, HELD_BYTES_MAX } from './held.ts'
import { HoldBack } from './hold-back.ts'
import type { Lane } from './lane.ts'
import { emptyLedger, expectBalanced, type Ledger } from './ledger.ts'
import type { DeadLetterReason, LateReason, Outputs, Problem, RecordBytes } from './outputs.ts'
import { imbalance } from '../../../schemas/refine.ts'
import { formProblem } from './record-form.ts'
import { copiesOf, NO_BYTES, recordOf } from './record-bytes.ts'
import { Sensor } from './sensor.ts'
import type { CoreSettings } from './settings.ts'
import { Thresholds } from './thresholds.ts'
import { isFramed, schemaIdAt } from '../../../platform/codec/framing.ts'

/** Sensors per partition; the state of one is some 4 KB. Beyond it readings of new sensors are dead letters. */
export const SENSORS_MAX = 500_000
/** A few forged seqs near 2^52 would push the missing count beyond what a snapshot can hold. */
const COUNT_MAX = 2 ** 53 - 2
/** The epoch of sources without sequence numbers. */
const UNNUMBERED = 0

/** The plan for a writer's schema id; null: the id is not one of a Reading; undefined: not known yet. */
export type PlanOf = (schemaId: number, offset: number) => ScanPlan | null | undefined

export class Refine {
  /** Arrival time of the latest record, clamped to non-decreasing, ms. */
  now = 0
  readonly ledger: Ledger = emptyLedger()
  readonly sensors = new Map<string, Sensor>()
  readonly due = new DueQueue()
  /** Records on which the core threw since it started: bugs, to be reported. */
  failures = 0
  readonly #scanner = new ReadingScanner()
  /** For readings that waited: they are emitted while the current record is still in the other scanner. */
  readonly #heldScanner = new ReadingScanner()
  readonly #partition: number
  readonly #planOf: PlanOf
  #settings: CoreSettings
  #thresholds: Thresholds
  #out: Outputs

  /** @param partition of raw, whose records it reads */
  constructor(settings: CoreSettings, planOf: PlanOf, partition: number, out: Outputs) {
    this.#settings = settings
    this.#thresholds = new Thresholds(settings)
    this.#planOf = planOf
    this.#partition = partition
    this.#out = out
  }

  get settings(): CoreSettings {
    return this.#settings
  }

  /** Continues with these settings: a snapshot's, or those from a control record. */
  use(settings: CoreSettings): void {
    this.#settings = settings
    this.#thresholds = new Thresholds(settings)
  }

  /** Where outputs are sent from now on. */
  emitTo(out: Outputs): void {
    this.#out = out
  }

  /**
   * Processes records [from, to) of a batch.
   * @returns the index of the first unprocessed record: `to`, or one whose schema id is not known yet
   */
  run(batch: RecordBatch, from: number, to: number): number {
    for (let i = from; i < to; i += 1) {
      // Resolve the schema before advancing the clock: the caller may commit before this record, without its timeouts.
      const plan = isFramed(batch, i) ? this.#planOf(schemaIdAt(batch.bytes, batch.valueAt(i)), batch.offset(i)) : null
      if (plan === undefined) return i
      const time = batch.timestamp(i)
      if (time > this.now) this.now = time
      if (this.due.next <= this.now) this.#expire()
      this.ledger.consumed += 1
      try {
        this.#step(batch, i, plan)
      } catch (error) {
        this.#fail(batch, i, error)
      }
    }
    expectBalanced(this.ledger)
    return to
  }

  /** An exception on one record is a bug in this code; retrying, as in a replay, would only throw again. */
  #fail(batch: RecordBatch, i: number, error: unknown): void {
    this.failures += 1
    const unaccounted = imbalance(this.ledger)
    if (unaccounted > 1 || unaccounted < 0) throw error
    if (unaccounted === 1) this.#deadLetter(batch, i, 'INTERNAL_ERROR', String(error))
  }

  #step(batch: RecordBatch, i: number, plan: ScanPlan | null): void {
    const control = readControl(batch, i)
    if (control !== null) {
      if (control === 'unknown')
        return this.#deadLetter(batch, i, 'UNKNOWN_CONTROL', 'the control record is of no known kind')
      this.ledger.control += 1
      if (control.kind === 'settings') this.#apply(control.settings, control.overrules)
      return
    }
    const form = formProblem(batch, i)
    if (form !== null) return this.#deadLetter(batch, i, form.reason, form.detail)
    const { bytes } = batch
    const at = batch.valueAt(i)
    if (plan === null)
      return this.#deadLetter(batch, i, 'UNKNOWN_SCHEMA', `schema id ${schemaIdAt(bytes, at)} is not that of a Reading`)
    if (this.#scanner.scan(plan, bytes, at + FRAME_BYTES, at + batch.valueLength(i))) this.#reading(batch, i)
    else this.#deadLetter(batch, i, 'UNDECODABLE', scanProblem(this.#scanner, schemaIdAt(bytes, at)))
  }

  #reading(batch: RecordBatch, i: number): void {
    const mistake = readingProblem(this.#scanner, batch.bytes, batch.keyAt(i), batch.keyLength(i))
    if (mistake !== null) return this.#deadLetter(batch, i, mistake.reason, mistake.detail)
    const keyText = batch.bytes.toString('latin1', batch.keyAt(i), batch.keyAt(i) + batch.keyLength(i))
    const { epoch } = this.#scanner
    const misplaced = partitionProblem(batch, i, this.#partition, this.#settings.partitions)
    if (misplaced !== null) return this.#deadLetter(batch, i, misplaced.reason, misplaced.detail)
    const problem = contentProblem(this.#scanner, this.now, this.#settings)
    if (isReplayedAsLate(batch, i)) {
      if (problem !== null) this.#deadLetter(batch, i, problem.reason, problem.detail)
      else this.#late(recordOf(batch, i), 'replayed')
      return
    }
    let sensor = this.sensors.get(keyText)
    if (sensor === undefined) {
      if (this.sensors.size >= SENSORS_MAX)
        return this.#deadLetter(batch, i, 'TOO_MANY_SENSORS', `a partition carries at most ${SENSORS_MAX} sensors`)
      sensor = new Sensor(keyText)
      this.sensors.set(keyText, sensor)
    }
    if (epoch === UNNUMBERED) this.#unnumbered(sensor, batch, i, problem)
    else this.#numbered(sensor, batch, i, problem)
  }

  #numbered(sensor: Sensor, batch: RecordBatch, i: number, problem: Problem | null): void {
    const { epoch, seq, ts } = this.#scanner
    const lane = sensor.lane(epoch) ?? this.#openLane(sensor, epoch)
    const hash = hashOf(batch, i)
    const place = lane.place(seq)
    if (place === 'taken') {
      if (lane.conflicts(seq, hash)) this.#conflict(batch, i)
      else this.ledger.duplicate += 1
      return
    }
    if (problem !== null) this.#deadLetter(batch, i, problem.reason, problem.detail)
    switch (place) {
      case 'next':
        lane.take(problem === null ? hash : NaN)
        if (problem === null) this.#pass(sensor, recordOf(batch, i), ts, this.now, this.#scanner)
        if (lane.held.length > 0) {
          const former = lane.deadline
          this.#advance(sensor, lane)
          this.#watch(sensor, epoch, former, lane.deadline)
        }
        return
      case 'early':
        this.#hold(sensor, lane, this.#held(batch, i, problem === null, problem === null ? hash : NaN))
        return
      case 'late':
        lane.fill(seq, problem === null ? hash : NaN)
        this.ledger.gapsFilledLate += 1
        if (problem === null) this.#late(recordOf(batch, i), 'late')
        return
    }
  }

  #hold(sensor: Sensor, lane: Lane, held: Held): void {
    const former = lane.deadline
    lane.hold(held, this.#settings.gapTimeoutMs)
    if (held.live) this.ledger.buffered += 1
    while (lane.held.length > this.#settings.gapBuffer || (lane.held.length > 0 && sensor.heldBytes() > HELD_BYTES_MAX))
      this.#giveUp(sensor, lane)
    this.#watch(sensor, lane.epoch, former, lane.deadline)
  }

  #unnumbered(sensor: Sensor, batch: RecordBatch, i: number, problem: Problem | null): void {
    if (problem !== null) return this.#deadLetter(batch, i, problem.reason, problem.detail)
    sensor.holdBack ??= new HoldBack()
    const { holdBack } = sensor
    const { ts } = this.#scanner
    const hash = hashOf(batch, i)
    const judged = holdBack.judge(ts, hash, sensor.lastTs)
    const isAhead = judged === 'held' && !sensor.clock.believes(ts, this.now, this.#settings.aheadMs)
    const verdict = isAhead ? 'ahead' : judged
    switch (verdict) {
      case 'duplicate':
        this.ledger.duplicate += 1
        return
      case 'correction':
      case 'late':
      case 'ahead':
        holdBack.remember(ts, hash)
        this.#late(recordOf(batch, i), verdict)
        return
      case 'held':
        this.#holdBack(sensor, holdBack, this.#held(batch, i, true, hash))
    }
  }

  #holdBack(sensor: Sensor, holdBack: HoldBack, held: Held): void {
    const former = holdBack.deadline
    holdBack.hold(held, this.#settings.holdBackMs)
    this.ledger.buffered += 1
    while (
      holdBack.held.length > this.#settings.holdBackBuffer ||
      (holdBack.held.length > 0 && sensor.heldBytes() > HELD_BYTES_MAX)
    )
      this.#emitHeldBack(sensor, holdBack.releaseFirst(this.#settings.holdBackMs))
    this.#watch(sensor, UNNUMBERED, former, holdBack.deadline)
  }

  /** Ends every wait that is over. An entry whose deadline has moved is stale: the new deadline has its own. */
  #expire(): void {
    for (let due = this.due.take(this.now); due !== null; due = this.due.take(this.now)) {
      try {
        this.#end(due)
      } catch (error) {
        this.failures += 1
        if (imbalance(this.ledger) !== 0) throw error
      }
    }
  }

  #end({ deadline, key, epoch }: Due): void {
    const sensor = this.sensors.get(key)
    const wait = epoch === UNNUMBERED ? sensor?.holdBack : sensor?.lanes.find((lane) => lane.epoch === epoch)
    if (sensor === undefined || wait?.deadline !== deadline) return
    try {
      if (wait instanceof HoldBack) this.#emitHeldBack(sensor, wait.release(this.now, this.#settings.holdBackMs))
      else while (wait.deadline <= this.now) this.#giveUp(sensor, wait)
    } finally {
      this.#watch(sensor, epoch, deadline, wait.deadline)
    }
  }

  /** Every finite deadline has its entry in the queue. */
  #watch(sensor: Sensor, epoch: number, former: number, deadline: number): void {
    if (deadline !== former && deadline < Infinity) this.due.add(deadline, sensor.key, epoch)
  }

  #giveUp(sensor: Sensor, lane: Lane): void {
    this.ledger.gapsGivenUp = Math.min(COUNT_MAX, this.ledger.gapsGivenUp + lane.giveUp())
    this.#advance(sensor, lane)
  }

  /** Emits the held readings that are now due. */
  #advance(sensor: Sensor, lane: Lane): void {
    let taken = lane.takeNext()
    if (taken === null) return
    for (; taken !== null; taken = lane.takeNext()) this.#emitHeld(sensor, taken)
    lane.settle(this.#settings.gapTimeoutMs)
  }

  /** They were judged by the sensor's clock when they came. */
  #emitHeldBack(sensor: Sensor, released: readonly Held[]): void {
    for (const held of released) {
      this.ledger.buffered -= 1
      this.#emit(sensor, this.#scanHeld(held), held.ts, this.#heldScanner)
      sensor.holdBack!.remember(held.ts, held.hash)
    }
  }

  #emitHeld(sensor: Sensor, held: Held): void {
    if (!held.live) return
    this.ledger.buffered -= 1
    this.#pass(sensor, this.#scanHeld(held), held.ts, held.arrival, this.#heldScanner)
  }

  #scanHeld({ key, value }: Held): RecordBytes {
    this.#heldScanner.scan(this.#planOf(schemaIdAt(value, 0), -1)!, value, FRAME_BYTES, value.length)
    return { key, keyAt: 0, keyLength: key.length, value, valueAt: 0, valueLength: value.length }
  }

  /** A numbered reading whose turn it is. */
  #pass(sensor: Sensor, record: RecordBytes, ts: number, arrival: number, scanner: ReadingScanner): void {
    if (ts > sensor.lastTs && !sensor.clock.believes(ts, arrival, this.#settings.aheadMs)) this.#late(record, 'ahead')
    else this.#emit(sensor, record, ts, scanner)
  }

  #emit(sensor: Sensor, record: RecordBytes, ts: number, scanner: ReadingScanner): void {
    if (ts <= sensor.lastTs) {
      this.#late(record, 'regressed')
      return
    }
    sensor.lastTs = ts
    this.ledger.emitted += 1
    this.#out.clean(record, ts)
    const thresholds = this.#thresholds.of(sensor, scanner, record.value)
    this.ledger.anomalies += detect(sensor, record, scanner, this.#settings, thresholds, this.#out)
  }

  #late(record: RecordBytes, reason: LateReason): void {
    this.ledger.late += 1
    if (reason === 'correction' || reason === 'regressed' || reason === 'ahead') this.ledger[reason] += 1
    this.#out.late(record, reason)
  }

  #openLane(sensor: Sensor, epoch: number): Lane {
    const { lane, forgotten } = sensor.open(epoch)
    // The forgotten lane's readings were accepted; they go out before their lane does.
    while (forgotten !== null && forgotten.held.length > 0) this.#giveUp(sensor, forgotten)
    return lane
  }

  /** Ignores stale settings from a previous owner, read after its successor's. */
  #apply(settings: CoreSettings, overrules: number | undefined): void {
    const { version } = this.#settings
    if (settings.version < version && overrules !== version) return
    const resized = settings.window < this.#settings.window
    this.use(settings)
    if (!resized) return
    for (const sensor of this.sensors.values()) sensor.resizeWindows(settings.window)
  }

  #conflict(batch: RecordBatch, i: number): void {
    this.ledger.conflict += 1
    this.#out.deadLetter(batch, i, 'CONFLICT', conflictDetail(this.#scanner))
  }

  #deadLetter(batch: RecordBatch, i: number, reason: DeadLetterReason, detail: string): void {
    this.ledger.deadLettered += 1
    this.#out.deadLetter(batch, i, reason, detail)
  }

  #held(batch: RecordBatch, i: number, live: boolean, hash: number): Held {
    const { seq, ts } = this.#scanner
    return { seq, ts, arrival: this.now, live, ...(live ? copiesOf(batch, i) : NO_BYTES), hash }
  }
}

const hashOf = (batch: RecordBatch, i: number): number =>
  contentHash(batch.bytes, batch.valueAt(i), batch.valueLength(i))
