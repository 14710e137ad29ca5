// What leaves the core: readings whose turn it is go to clean with their scores, or to late. The last rule that a reading
// meets is here: time strictly increases in clean.
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import type { ScanPlan } from '../../../platform/codec/reading-plan.ts'
import { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import { detect } from './detect.ts'
import type { Held } from './held.ts'
import type { Ledger } from './ledger.ts'
import type { LateReason, Outputs, RecordBytes } from './outputs.ts'
import { schemaIdAt } from '../../../platform/codec/framing.ts'
import type { Sensor } from './sensor.ts'
import type { CoreSettings } from './settings.ts'
import { Thresholds } from './thresholds.ts'

/** The plan for a writer's schema id; null: the id is not one of a Reading; undefined: not known yet. */
export type PlanOf = (schemaId: number, offset: number) => ScanPlan | null | undefined

export class Emitter {
  /** The held reading that is being emitted: the one to blame for an exception. */
  emitting: Held | null = null
  /** For readings that waited: they are emitted while the current record is still in the core's scanner. */
  readonly #scanner = new ReadingScanner()
  readonly #ledger: Ledger
  readonly #planOf: PlanOf
  #settings: CoreSettings
  #thresholds: Thresholds
  #out: Outputs

  constructor(settings: CoreSettings, planOf: PlanOf, ledger: Ledger, out: Outputs) {
    this.#settings = settings
    this.#thresholds = new Thresholds(settings)
    this.#planOf = planOf
    this.#ledger = ledger
    this.#out = out
  }

  use(settings: CoreSettings): void {
    this.#settings = settings
    this.#thresholds = new Thresholds(settings)
  }

  emitTo(out: Outputs): void {
    this.#out = out
  }

  /** They were judged by the sensor's clock when they came. */
  heldBack(sensor: Sensor, released: readonly Held[]): void {
    for (const held of released) {
      this.emitting = held
      this.#ledger.buffered -= 1
      this.#emit(sensor, this.#scanHeld(held), held.ts, this.#scanner)
      sensor.holdBack!.remember(held.ts, held.hash)
    }
  }

  held(sensor: Sensor, held: Held): void {
    if (!held.live) return
    this.emitting = held
    this.#ledger.buffered -= 1
    this.pass(sensor, this.#scanHeld(held), held.ts, held.arrival, this.#scanner)
  }

  #scanHeld({ key, value }: Held): RecordBytes {
    this.#scanner.scan(this.#planOf(schemaIdAt(value, 0), -1)!, value, FRAME_BYTES, value.length)
    return { key, keyAt: 0, keyLength: key.length, value, valueAt: 0, valueLength: value.length }
  }

  /** A numbered reading whose turn it is. */
  pass(sensor: Sensor, record: RecordBytes, ts: number, arrival: number, scanner: ReadingScanner): void {
    if (ts > sensor.lastTs && !sensor.clock.believes(ts, arrival, this.#settings.aheadMs)) this.late(record, 'ahead')
    else this.#emit(sensor, record, ts, scanner)
  }

  #emit(sensor: Sensor, record: RecordBytes, ts: number, scanner: ReadingScanner): void {
    if (ts <= sensor.lastTs) {
      this.late(record, 'regressed')
      return
    }
    sensor.lastTs = ts
    this.#ledger.emitted += 1
    this.#out.clean(record, ts)
    const thresholds = this.#thresholds.of(sensor, scanner, record.value)
    this.#ledger.anomalies += detect(sensor, record, scanner, this.#settings, thresholds, this.#out)
  }

  late(record: RecordBytes, reason: LateReason): void {
    this.#ledger.late += 1
    if (reason === 'correction' || reason === 'regressed' || reason === 'ahead') this.#ledger[reason] += 1
    this.#out.late(record, reason)
  }
}
