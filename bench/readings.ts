// Seeded load for benchmarks: encoded readings of many sensors, some out of order and some twice. The same seed gives
// the same bytes. Encoding is paid here, before anything is measured.
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import { sensorKey } from '../platform/codec/identity.ts'
import { encodeFramed, readingType } from '../platform/codec/reading.ts'
import { partitionOfKey } from '../platform/kafka/partitioner.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'

export interface LoadOptions {
  readonly records: number
  readonly sensors: number
  readonly partitions: number
  readonly seed: number
  /** Shares of readings. */
  readonly outOfOrder: number
  readonly duplicates: number
  readonly schemaId: number
  /** Readings sent together, unless there are more sensors; default 5,000. */
  readonly perRound?: number
  /** Bytes of tags added to every reading; default none. */
  readonly padBytes?: number
}

/** How many places late an out-of-order reading comes, among the readings of its sensor. */
const DISPLACED_BY = 2

/**
 * Makes batches of readings in the order in which they are sent.
 * @param startTs event time of the first readings, ms
 * @returns an iterator of rounds; a round has one builder per partition, empty ones included
 */
export function* rounds(options: LoadOptions, startTs: number): Generator<RecordBatchBuilder[]> {
  const { records, sensors, partitions, seed, outOfOrder, duplicates, schemaId } = options
  const tags = { model: 'm1', ...(options.padBytes ? { pad: 'x'.repeat(options.padBytes) } : {}) }
  const random = xoroshiro128plus(seed)
  const uniform = (): number => (random.next() >>> 0) / 2 ** 32
  const keys = Array.from({ length: sensors }, (_, i) => Buffer.from(sensorKey('bench', `sensor-${i}`)))
  const partitionOfSensor = keys.map((key) => partitionOfKey(key, partitions))
  const nextSeq = new Float64Array(sensors)
  /** Readings that were held back and come later: sensor → seq and how many readings to wait. */
  const delayed = new Map<number, { seq: number; wait: number }>()
  let made = 0
  while (made < records) {
    const builders = Array.from({ length: partitions }, () => new RecordBatchBuilder())
    const add = (sensor: number, seq: number, copies: number): void => {
      const value = encodeFramed(readingType, schemaId, { ...reading(sensor, seq, startTs, uniform()), tags })
      const key = keys[sensor]
      const builder = builders[partitionOfSensor[sensor]]
      for (let copy = 0; copy < copies; copy += 1) builder.append(key, 0, key.length, value, 0, value.length)
      made += copies
    }
    // A round is one pass over the sensors, or several when they are few.
    const passes = Math.max(1, Math.floor((options.perRound ?? 5_000) / sensors))
    for (let pass = 0; pass < passes; pass += 1) {
      for (let sensor = 0; sensor < sensors && made < records; sensor += 1) {
        const seq = nextSeq[sensor]
        nextSeq[sensor] += 1
        const waiting = delayed.get(sensor)
        if (waiting === undefined && uniform() < outOfOrder) {
          delayed.set(sensor, { seq, wait: DISPLACED_BY })
          continue
        }
        add(sensor, seq, uniform() < duplicates ? 2 : 1)
        if (waiting === undefined) continue
        waiting.wait -= 1
        if (waiting.wait > 0) continue
        delayed.delete(sensor)
        add(sensor, waiting.seq, 1)
      }
    }
    yield builders
  }
}

function reading(sensor: number, seq: number, startTs: number, noise: number): object {
  return {
    tenant_id: 'bench',
    site_id: `site-${sensor % 10}`,
    node_id: `node-${sensor % 20}`,
    sensor_id: `sensor-${sensor}`,
    epoch: 1,
    seq,
    ts: startTs + seq * 100,
    mono_ms: seq * 100,
    power_w: 1_000 + 50 * noise,
    voltage_v: 230 + noise,
    current_a: 4.3 + 0.2 * noise,
  }
}
