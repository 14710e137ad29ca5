// The core of refine: a deterministic function from a raw partition's records to clean, late, anomalies and dead
// letters. Its only clock is the arrival time of its input, clamped to non-decreasing; its settings are input, too. So
// running it again over the same records gives the same state and the same outputs, which is what recovery rests on.
import { frameByHeader, type IdOfGuid, isFramed, schemaIdAt, unknownGuidId } from '../../../platform/codec/framing.ts'
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import { scanProblem } from '../../../platform/codec/reading-decoder.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { readingProblem } from '../../../platform/codec/reading-verdict.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { conflictDetail, contentProblem, partitionProblem } from './acceptance.ts'
import { attempt, CAREFUL_RECORDS, CoreFailure } from './careful.ts'
import { isReplayedAsLate, readControl } from './control.ts'
import { type Due, DueQueue } from './due-queue.ts'
import { Emitter, type PlanOf } from './emitter.ts'
import { type Held, HELD_BYTES_MAX, heldOf } from './held.ts'
import { HoldBack } from './hold-back.ts'
import type { Lane } from './lane.ts'
import { COUNT_MAX, emptyLedger, expectBalanced, type Ledger } from './ledger.ts'
import type { DeadLetterReason, Outputs, Problem } from './outputs.ts'
import { formProblem, unknownSchema } from './record-form.ts'
import { hashOf, keyTextOf, recordOf } from './record-bytes.ts'
import { Sensor, SENSORS_MAX } from './sensor.ts'
import type { CoreSettings } from './settings.ts'

export type { PlanOf }

/** The epoch of sources without sequence numbers. */
const UNNUMBERED = 0

export class Refine {
  /** Arrival time of the latest record, clamped to non-decreasing, ms. */
  now = 0
  readonly ledger: Ledger = emptyLedger()
  readonly sensors = new Map<string, Sensor>()
  readonly due = new DueQueue()
  /** Records on which the core threw since it started: bugs, to be reported. */
  failures = 0
  /** How many records are still run so that an exception can be undone; see careful.ts. */
  careful = Infinity
  readonly #scanner = new ReadingScanner()
  readonly #emitter: Emitter
  readonly #partition: number
  readonly #planOf: PlanOf
  readonly #idOfGuid: IdOfGuid
  #settings: CoreSettings
  #out: Outputs

  /** @param partition of raw, whose records it reads */
  constructor(
    settings: CoreSettings,
    planOf: PlanOf,
    partition: number,
    out: Outputs,
    idOfGuid: IdOfGuid = unknownGuidId,
  ) {
    this.#settings = settings
    this.#emitter = new Emitter(settings, planOf, this.ledger, out)
    this.#planOf = planOf
    this.#idOfGuid = idOfGuid
    this.#partition = partition
    this.#out = out
  }

  get settings(): CoreSettings {
    return this.#settings
  }
  /** Continues with these settings: a snapshot's, or those from a control record. */
  use(settings: CoreSettings): void {
    this.#settings = settings
    this.#emitter.use(settings)
  }

  /** Where outputs are sent from now on. */
  emitTo(out: Outputs): void {
    this.#out = out
    this.#emitter.emitTo(out)
  }

  /**
   * Processes records [from, to) of a batch.
   * @returns the index of the first unprocessed record: `to`, or one whose schema is not known yet
   * @throws CoreFailure if it is not careful and something threw: its state must not be used any more
   */
  run(batch: RecordBatch, from: number, to: number): number {
    let i = from
    try {
      for (; i < to; i += 1) {
        // Resolve the schema before advancing the clock: the caller may commit before this record, without its timeouts.
        const plan = this.careful > 0 ? this.#planCarefully(batch, i) : this.#plan(batch, i)
        if (plan === undefined) return i
        const time = batch.timestamp(i)
        if (time > this.now) this.now = time
        if (this.due.next <= this.now) this.#expire()
        if (plan === 'failed') continue
        if (this.careful > 0) this.#stepCarefully(batch, i, plan)
        else {
          this.ledger.consumed += 1
          this.#step(batch, i, plan)
        }
      }
      expectBalanced(this.ledger)
    } catch (error) {
      throw new CoreFailure(batch.offset(Math.min(i, to - 1)), error)
    }
    return to
  }

  /** Dead-letters a record without looking into it. */
  refuse(batch: RecordBatch, i: number, reason: DeadLetterReason, detail: string): void {
    this.ledger.consumed += 1
    this.#deadLetter(batch, i, reason, detail)
  }

  /** Undefined: its schema is not known yet. Null: it has none, or one that is refused. */
  #plan(batch: RecordBatch, i: number): ScanPlan | null | undefined {
    if (batch.hasHeaders(i) && !frameByHeader(batch, i, this.#idOfGuid)) return undefined
    return isFramed(batch, i) ? this.#planOf(schemaIdAt(batch.bytes, batch.valueAt(i)), batch.offset(i)) : null
  }

  #planCarefully(batch: RecordBatch, i: number): ScanPlan | null | undefined | 'failed' {
    try {
      return this.#plan(batch, i)
    } catch (error) {
      this.#hasFailed()
      this.refuse(batch, i, 'INTERNAL_ERROR', String(error))
      return 'failed'
    }
  }

  #stepCarefully(batch: RecordBatch, i: number, plan: ScanPlan | null): void {
    this.careful -= 1
    const failed = attempt(this, this.#out, keyTextOf(batch, i), () => {
      this.ledger.consumed += 1
      this.#step(batch, i, plan)
    })
    if (failed === null) return
    this.#hasFailed()
    this.refuse(batch, i, 'INTERNAL_ERROR', String(failed.error))
  }

  /** An exception is a bug in this code. */
  #hasFailed(): void {
    this.failures += 1
    this.careful = Math.max(this.careful, CAREFUL_RECORDS)
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
    if (plan === null) return this.#deadLetter(batch, i, 'UNKNOWN_SCHEMA', unknownSchema(batch, i))
    const { bytes } = batch
    const at = batch.valueAt(i)
    if (this.#scanner.scan(plan, bytes, at + FRAME_BYTES, at + batch.valueLength(i))) this.#reading(batch, i)
    else this.#deadLetter(batch, i, 'UNDECODABLE', scanProblem(this.#scanner, schemaIdAt(bytes, at)))
  }

  #reading(batch: RecordBatch, i: number): void {
    const mistake = readingProblem(this.#scanner, batch.bytes, batch.keyAt(i), batch.keyLength(i))
    if (mistake !== null) return this.#deadLetter(batch, i, mistake.reason, mistake.detail)
    const keyText = keyTextOf(batch, i)
    const { epoch } = this.#scanner
    const misplaced = partitionProblem(batch, i, this.#partition, this.#settings.partitions)
    if (misplaced !== null) return this.#deadLetter(batch, i, misplaced.reason, misplaced.detail)
    const problem = contentProblem(this.#scanner, this.now, this.#settings)
    if (isReplayedAsLate(batch, i)) {
      if (problem !== null) this.#deadLetter(batch, i, problem.reason, problem.detail)
      else this.#emitter.late(recordOf(batch, i), 'replayed')
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
        if (problem === null) this.#emitter.pass(sensor, recordOf(batch, i), ts, this.now, this.#scanner)
        if (lane.held.length > 0) {
          const former = lane.deadline
          this.#advance(sensor, lane)
          this.#watch(sensor, epoch, former, lane.deadline)
        }
        return
      case 'early':
        this.#hold(sensor, lane, heldOf(this.#scanner, batch, i, this.now, problem === null, hash))
        return
      case 'late':
        lane.fill(seq, problem === null ? hash : NaN)
        this.ledger.gapsFilledLate += 1
        if (problem === null) this.#emitter.late(recordOf(batch, i), 'late')
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
        this.#emitter.late(recordOf(batch, i), verdict)
        return
      case 'held':
        this.#holdBack(sensor, holdBack, heldOf(this.#scanner, batch, i, this.now, true, hash))
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
      this.#emitter.heldBack(sensor, holdBack.releaseFirst(this.#settings.holdBackMs))
    this.#watch(sensor, UNNUMBERED, former, holdBack.deadline)
  }

  /** Ends every wait that is over. An entry whose deadline has moved is stale: the new deadline has its own. */
  #expire(): void {
    for (let due = this.due.take(this.now); due !== null; due = this.due.take(this.now)) {
      if (this.careful > 0) this.#endCarefully(due)
      else this.#end(due)
    }
  }

  /** A reading that cannot be emitted is a dead letter, and its wait continues without it. */
  #endCarefully(due: Due): void {
    this.#emitter.emitting = null
    const failed = attempt(this, this.#out, due.key, () => this.#end(due))
    if (failed === null) return
    this.#hasFailed()
    const held = this.#waitOf(due)?.discard(this.#emitter.emitting)
    if (held === null || held === undefined) return
    this.ledger.buffered -= 1
    this.ledger.deadLettered += 1
    this.#out.deadLetterOf(held.offset, held, 'INTERNAL_ERROR', String(failed.error))
  }

  #waitOf({ key, epoch }: Due): Lane | HoldBack | null {
    const sensor = this.sensors.get(key)
    if (sensor === undefined) return null
    return epoch === UNNUMBERED ? sensor.holdBack : (sensor.lanes.find((lane) => lane.epoch === epoch) ?? null)
  }

  #end(due: Due): void {
    const { deadline, key, epoch } = due
    const wait = this.#waitOf(due)
    if (wait?.deadline !== deadline) return
    const sensor = this.sensors.get(key)!
    if (wait instanceof HoldBack) this.#emitter.heldBack(sensor, wait.release(this.now, this.#settings.holdBackMs))
    else while (wait.deadline <= this.now) this.#giveUp(sensor, wait)
    this.#watch(sensor, epoch, deadline, wait.deadline)
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
    for (; taken !== null; taken = lane.takeNext()) this.#emitter.held(sensor, taken)
    lane.settle(this.#settings.gapTimeoutMs)
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
    if (settings.window >= this.#settings.window) return this.use(settings)
    // All are made before the first is replaced, so that an exception changes nothing.
    const resized = [...this.sensors.values()].map((sensor) => sensor.resizedWindows(settings.window))
    this.use(settings)
    let at = 0
    for (const sensor of this.sensors.values()) sensor.windows = resized[at++]
  }

  #conflict(batch: RecordBatch, i: number): void {
    this.ledger.conflict += 1
    this.#out.deadLetter(batch, i, 'CONFLICT', conflictDetail(this.#scanner))
  }

  #deadLetter(batch: RecordBatch, i: number, reason: DeadLetterReason, detail: string): void {
    this.ledger.deadLettered += 1
    this.#out.deadLetter(batch, i, reason, detail)
  }
}
