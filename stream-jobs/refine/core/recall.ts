// Recalls from clean and late what refine has sent since its last snapshot, where the raw records themselves are gone and
// cannot be replayed. What matters is that nothing is emitted again and time does not go back: every sensor's time, its
// next numbers and the hashes that tell a repeat. The detector's windows stay as the snapshot has them.
import { isFramed, schemaIdAt } from '../../../platform/codec/framing.ts'
import { FRAME_BYTES } from '../../../platform/codec/reading.ts'
import { ReadingScanner } from '../../../platform/codec/reading-scanner.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { contentHash } from './content-hash.ts'
import type { PlanOf } from './emitter.ts'
import type { Held } from './held.ts'
import { HoldBack } from './hold-back.ts'
import { keyTextOf } from './record-bytes.ts'
import { Sensor } from './sensor.ts'

const UNNUMBERED = 0

export class Recall {
  readonly #sensors: Map<string, Sensor>
  readonly #planOf: PlanOf
  readonly #scanner = new ReadingScanner()

  /** @param planOf of every schema that the records have */
  constructor(sensors: Map<string, Sensor>, planOf: PlanOf) {
    this.#sensors = sensors
    this.#planOf = planOf
  }

  /** A record that was sent; may be given again. @param isClean otherwise it is one of late */
  record(batch: RecordBatch, i: number, isClean: boolean): void {
    const { bytes } = batch
    const at = batch.valueAt(i)
    const length = batch.valueLength(i)
    const plan = isFramed(batch, i) ? (this.#planOf(schemaIdAt(bytes, at), -1) ?? null) : null
    if (plan === null || !this.#scanner.scan(plan, bytes, at + FRAME_BYTES, at + length)) return
    const { epoch, seq, ts } = this.#scanner
    const hash = contentHash(bytes, at, length)
    const key = keyTextOf(batch, i)
    const sensor = this.#sensors.get(key) ?? new Sensor(key)
    this.#sensors.set(key, sensor)
    if (isClean && ts > sensor.lastTs) sensor.lastTs = ts
    if (epoch !== UNNUMBERED) (sensor.lane(epoch) ?? sensor.open(epoch).lane).recall(seq, hash)
    else (sensor.holdBack ??= new HoldBack()).recall(ts, hash)
  }

  /** Ends every wait: nobody knows any more what else waited with these. @returns the readings */
  release(): Held[] {
    return [...this.#sensors.values()].flatMap(({ lanes, holdBack }) =>
      [...lanes, ...(holdBack === null ? [] : [holdBack])]
        .flatMap((wait) => wait.release(Infinity, 0))
        .filter(({ live }) => live),
    )
  }
}
