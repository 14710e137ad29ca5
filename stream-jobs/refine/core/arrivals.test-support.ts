// Random input for refine: what a scenario says in words becomes the record batches that a broker would deliver, and
// beside them the plain arrivals that the oracle reads. Both come from one list, so neither can be wrong alone.
import fc from 'fast-check'
import { sensorKey } from '../../../platform/codec/identity.ts'
import { FRAME_BYTES, encodeFramed, type Reading, readingType } from '../../../platform/codec/reading.ts'
import { planScan, type ScanPlan } from '../../../platform/codec/reading-plan.ts'
import type { RecordBatch } from '../../../platform/kafka/record-batch/record-batch.ts'
import { type TestRecord, recordBatchOf } from '../../../platform/kafka/record-batch/record-batch.test-support.ts'
import { loadSchema } from '../../../schemas/load.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import type { RawRecord } from '../../../test/oracle/refine.ts'
import { controlHeaders } from './control.ts'
import type { DeadLetterReason, KeyAndValue, LateReason, Outputs, RecordBytes, Score } from './outputs.ts'
import { Refine } from './refine.ts'
import type { CoreSettings } from './settings.ts'

export const SCHEMA_ID = 7
export const START_MS = 1_700_000_000_000
export const PARTITION = 0
export const plan: ScanPlan = planScan(loadSchema('reading'))
export const planOf = (id: number): ScanPlan | null => (id === SCHEMA_ID ? plan : null)

export const SETTINGS: CoreSettings = {
  gapTimeoutMs: 2_000,
  gapBuffer: 64,
  holdBackMs: 2_000,
  holdBackBuffer: 256,
  futureMs: 300_000,
  aheadMs: 5_000,
  earliestMs: Date.UTC(2000),
  partitions: 0,
  window: 5,
  minSamples: 3,
  z: 3,
  version: 0,
  zByNode: [],
  zBySite: [],
  zByMetric: [],
}

/** What the oracle sees of a record. */
export interface Arrival {
  readonly offset: number
  readonly time: number
  readonly what: 'reading' | 'garbage' | 'control'
  readonly sensor: string
  readonly epoch: number
  readonly seq: number
  readonly ts: number
  /** Equal for equal bytes. */
  readonly payload: string
  /** A reading that must not continue: a metric beyond its bounds or a time in the future. */
  readonly refused: boolean
}

const NO_METRICS = Object.fromEntries(METRICS.map(({ name }) => [name, null]))

export function encode(reading: Partial<Reading>): Buffer {
  const whole = {
    tenant_id: 't',
    site_id: 'site',
    node_id: 'n',
    sensor_id: 's',
    epoch: 0,
    seq: 0,
    ts: START_MS,
    mono_ms: 0,
    ...NO_METRICS,
    tags: {},
  }
  return encodeFramed(readingType, SCHEMA_ID, { ...whole, ...reading })
}

/** The record of a reading, under its sensor's key. */
export const recordOf = (reading: Partial<Reading>): TestRecord => ({
  key: Buffer.from(sensorKey(reading.tenant_id ?? 't', reading.sensor_id ?? 's')),
  value: encode(reading),
})

export const tickRecord: TestRecord = { key: null, value: null, headers: controlHeaders({ kind: 'tick' }) }
export const settingsRecord = (settings: CoreSettings): TestRecord => ({
  key: null,
  value: null,
  headers: controlHeaders({ kind: 'settings', settings }),
})

/** One step of a scenario. Sequence numbers are relative to the greatest one sent so far of that sensor and epoch. */
export type Step = {
  readonly what: 'numbered' | 'plain' | 'garbage' | 'tick' | 'settings'
  readonly sensor: number
  readonly epoch: number
  readonly back: number
  readonly variant: number
  readonly kind: number
  readonly wait: number
}

export interface StepOptions {
  readonly sensors?: number
  /** How many a sensor has; more than 8 make refine forget some. */
  readonly epochs?: number
  readonly withSettings?: boolean
  /** Nearly no time passes, so that many wait at once. */
  readonly crowded?: boolean
  /** Nearly all in order, so that the windows fill. */
  readonly tidy?: boolean
}

export function steps({
  sensors = 3,
  epochs = 3,
  withSettings = false,
  crowded = false,
  tidy = false,
}: StepOptions): fc.Arbitrary<Step[]> {
  const waits = fc.oneof(fc.constant(0), fc.constantFrom(1, 100, 999, 1_000, 2_000, 2_001, 5_000, -500), fc.nat(300))
  const step = fc.record({
    what: fc.constantFrom<Step['what'][]>(
      ...Array.from({ length: tidy ? 40 : 4 }, () => 'numbered' as const),
      'plain',
      'plain',
      'garbage',
      'tick',
      withSettings ? 'settings' : 'tick',
    ),
    sensor: fc.nat(sensors - 1),
    epoch: fc.integer({ min: 1, max: epochs }),
    back: tidy ? fc.constant(0) : fc.oneof(fc.constant(0), fc.integer({ min: -4, max: 8 })),
    variant: fc.nat(3),
    // Where epochs are forgotten a number must not come again with a later time, which nobody could tell from a new one.
    kind: fc.nat(19).map((kind) => (epochs > 8 && (kind === 2 || kind === 3) ? 5 : kind)),
    wait: crowded ? fc.constantFrom(0, 0, 0, 1, 10) : waits,
  })
  return fc.array(step, { maxLength: 120, size: 'max' })
}

/** Sensors of one or a few epochs, and one that counts more than a sensor may have. */
export const scripts = (withSettings: boolean): fc.Arbitrary<Step[]> =>
  fc.oneof(
    steps({ withSettings }),
    steps({ epochs: 1, withSettings }),
    steps({ sensors: 1, epochs: 1, withSettings, tidy: true }),
    steps({ sensors: 1, epochs: 12, withSettings }),
    steps({ sensors: 1, epochs: 12, withSettings, crowded: true }),
  )

export interface Scenario {
  /** As the oracle reads them. */
  readonly records: readonly RawRecord[]
  readonly batches: readonly RecordBatch[]
  readonly arrivals: readonly Arrival[]
}

/** Plays a scenario: records that arrive at the same time share a batch. */
export function play(script: readonly Step[]): Scenario {
  const batches: RecordBatch[] = []
  const records: RawRecord[] = []
  const arrivals: Arrival[] = []
  const greatest = new Map<string, number>()
  let time = START_MS
  let batch: TestRecord[] = []
  const flush = (appendTime: number): void => {
    if (batch.length > 0) batches.push(recordBatchOf(batch, { baseOffset: arrivals.length - batch.length, appendTime }))
    batch = []
  }
  for (const step of script) {
    if (step.wait !== 0) flush(time)
    time += step.wait
    const { record, arrival } = recordAndArrival(step, greatest, time)
    batch.push(record)
    records.push({ ...rawOf(record), offset: arrivals.length, arrival: time })
    arrivals.push({ ...arrival, offset: arrivals.length, time })
  }
  flush(time)
  return { batches, arrivals, records }
}

const bytesOf = (part: TestRecord['key']): Buffer | null => (part === null ? null : Buffer.from(part))

const rawOf = ({ key, value, headers = [] }: TestRecord): Pick<RawRecord, 'key' | 'value' | 'headers'> => ({
  key: bytesOf(key),
  value: bytesOf(value),
  headers: Object.fromEntries(headers.map((header) => [header.key, String(header.value)])),
})

const other = { sensor: '', epoch: 0, seq: 0, ts: 0, payload: '', refused: false }

function recordAndArrival(
  step: Step,
  greatest: Map<string, number>,
  now: number,
): { record: TestRecord; arrival: Omit<Arrival, 'offset' | 'time'> } {
  switch (step.what) {
    case 'tick':
      return { record: tickRecord, arrival: { ...other, what: 'control' } }
    case 'settings':
      return { record: settingsRecord(changed(step)), arrival: { ...other, what: 'control' } }
    case 'garbage':
      return { record: garbage(step), arrival: { ...other, what: 'garbage' } }
    case 'numbered': {
      const key = `${step.sensor}/${step.epoch}`
      const seq = Math.max(0, (greatest.get(key) ?? -1) + 1 - step.back)
      greatest.set(key, Math.max(seq, greatest.get(key) ?? -1))
      // Most sensors keep their time ascending; some readings step back, and several epochs overlap.
      const ts = START_MS - 100_000 + seq * 100 + step.epoch * 350 - (seq % 7 === 3 ? 500 : 0)
      return readingOf(step, now, {
        epoch: step.epoch,
        seq,
        ts,
        power_w: seq % 11 === 5 ? 500 : (seq * seq * 0.1373) % 3,
      })
    }
    case 'plain': {
      const sent = (greatest.get(`plain/${step.sensor}`) ?? -1) + 1
      greatest.set(`plain/${step.sensor}`, sent)
      const ts = START_MS - 100_000 + (sent - step.back) * 100
      return readingOf(step, now, { epoch: 0, seq: 0, ts, power_w: step.variant / 7 })
    }
  }
}

function readingOf(
  step: Step,
  now: number,
  reading: Partial<Reading>,
): { record: TestRecord; arrival: Omit<Arrival, 'offset' | 'time'> } {
  const whole: Partial<Reading> = {
    ...reading,
    sensor_id: `s${step.sensor}`,
    // Sensors move: which threshold holds is up to each reading.
    site_id: ['site', 'elsewhere', '', 'site'][step.variant],
    node_id: step.kind % 3 === 0 ? 'n' : 'm',
  }
  if (step.kind === 0) whole.humidity_pct = 101
  // A clock that is ahead: beyond doubt, once, or for as long as it takes to be believed.
  if (step.kind === 2 || step.kind === 3) whole.ts = now + [4_000, 8_000, 20_000, 21_000][step.variant]
  if (step.kind === 4) whole.ts = SETTINGS.earliestMs - step.variant
  // The same number again with other bytes.
  if (step.kind >= 17) whole.pressure_hpa = step.variant
  if (step.kind === 1) whole.ts = now + SETTINGS.futureMs + 100_000 + step.variant
  const record = recordOf(whole)
  const payload = Buffer.from(record.value!).toString('hex')
  return {
    record,
    arrival: {
      what: 'reading',
      sensor: `s${step.sensor}`,
      epoch: whole.epoch!,
      seq: whole.seq!,
      ts: whole.ts!,
      payload,
      refused: step.kind <= 1 || (step.kind === 4 && step.variant > 0),
    },
  }
}

function garbage({ variant, kind }: Step): TestRecord {
  const good = recordOf({ epoch: 1, seq: variant })
  const value = Buffer.from(good.value!)
  switch (kind % 9) {
    case 0:
      return { key: null, value }
    case 1:
      return { key: good.key, value: null }
    case 2:
      return { key: good.key, value: value.subarray(0, variant) }
    case 3:
      value[0] = 1
      return { key: good.key, value }
    case 4:
      value.writeInt32BE(99, 1)
      return { key: good.key, value }
    case 5:
      return { key: good.key, value: value.subarray(0, -1) }
    case 6:
      return { key: Buffer.from('t/other'), value }
    case 7:
      return { key: good.key, value: encode({ epoch: -1, seq: 0 }) }
    default:
      return { key: good.key, value, headers: [{ key: 'plumbline.control', value: 'nobody knows' }] }
  }
}

const changed = ({ variant, kind, sensor }: Step): CoreSettings => ({
  ...SETTINGS,
  window: [3, 5, 8, 40][variant],
  gapTimeoutMs: [500, 2_000, 4_000][sensor],
  holdBackMs: [300, 2_000, 6_000][kind % 3],
  gapBuffer: kind % 2 === 0 ? 3 : 64,
  // Also older ones than those that came before, and the same one with other values.
  version: kind % 5,
  zByNode: kind % 4 === 0 ? [['n', 0.5]] : [],
  zBySite: variant % 2 === 0 ? [['site', 1.5]] : [],
  zByMetric: kind % 3 === 0 ? [['power_w', 1]] : [],
})

export type Topic = 'clean' | 'late' | 'anomalies' | 'dead letters'

/** One output, with all that it says. */
export interface Said {
  readonly topic: Topic
  readonly sensor: string
  readonly payload: string
  readonly ts: number
  readonly detail: string
}

/** Keeps everything that a core says, in order. */
export class Recorder implements Outputs {
  readonly said: Said[] = []
  #marked = 0

  clean(record: RecordBytes, ts: number): void {
    this.said.push({ topic: 'clean', ...textOf(record), ts, detail: '' })
  }

  late(record: RecordBytes, reason: LateReason): void {
    this.said.push({ topic: 'late', ...textOf(record), ts: 0, detail: reason })
  }

  anomaly(record: RecordBytes, score: Score): void {
    this.said.push({ topic: 'anomalies', ...textOf(record), ts: 0, detail: JSON.stringify(score) })
  }

  deadLetter(batch: RecordBatch, index: number, reason: DeadLetterReason, detail: string): void {
    this.said.push({
      topic: 'dead letters',
      sensor: '',
      payload: String(batch.offset(index)),
      ts: 0,
      detail: `${reason}: ${detail}`,
    })
  }

  deadLetterOf(offset: number, bytes: KeyAndValue | null, reason: DeadLetterReason, detail: string): void {
    const sensor = bytes === null ? '' : Buffer.from(bytes.key).toString()
    this.said.push({ topic: 'dead letters', sensor, payload: String(offset), ts: 0, detail: `${reason}: ${detail}` })
  }

  mark(): void {
    this.#marked = this.said.length
  }

  rollback(): void {
    this.said.length = this.#marked
  }

  of(topic: Topic): Said[] {
    return this.said.filter((said) => said.topic === topic)
  }
}

/** The sensor's name without its tenant, and the value in hexadecimal. */
const textOf = ({
  key,
  keyAt,
  keyLength,
  value,
  valueAt,
  valueLength,
}: RecordBytes): { sensor: string; payload: string } => ({
  sensor: Buffer.from(key.subarray(keyAt, keyAt + keyLength))
    .toString('latin1')
    .replace(/^t\//, ''),
  payload: Buffer.from(value.subarray(valueAt, valueAt + valueLength)).toString('hex'),
})

/** The reading of a payload in hexadecimal. */
export const readingAt = (payload: string): Reading =>
  readingType.fromBuffer(Buffer.from(payload, 'hex').subarray(FRAME_BYTES)) as Reading

export function newCore(out: Outputs, settings: CoreSettings = SETTINGS): Refine {
  return new Refine(settings, planOf, PARTITION, out)
}

/** Runs everything; the core must not stop early. */
export function feed(core: Refine, batches: readonly RecordBatch[]): void {
  for (const batch of batches) {
    const reached = core.run(batch, 0, batch.count)
    if (reached !== batch.count) throw new Error(`the core stopped at record ${reached} of ${batch.count}`)
  }
}
