// What each stage costs by itself, in CPU per record: encoding, record batches, the scan, refine's core, snapshots, the
// sink's decoding and the store, each in its own loop over the same readings. Compared with the cost of a whole process
// they show how much is the client's and the kernel's. Also how the core's cost grows with the number of sensors.
import { readingType, FRAME_BYTES } from '../platform/codec/reading.ts'
import { planScan } from '../platform/codec/reading-plan.ts'
import { ReadingScanner } from '../platform/codec/reading-scanner.ts'
import { RecordBatchBuilder } from '../platform/kafka/record-batch/builder.ts'
import { RecordBatch } from '../platform/kafka/record-batch/record-batch.ts'
import { loadSchema } from '../schemas/load.ts'
import { REFINE_TOPICS } from '../schemas/topics.ts'
import { Refine } from '../stream-jobs/refine/core/refine.ts'
import { snapshotType, takeSnapshot } from '../stream-jobs/refine/core/snapshot.ts'
import { BatchOutputs } from '../stream-jobs/refine/runtime/batch-outputs.ts'
import { rounds } from './readings.ts'
import { benchStore } from './store.ts'

const SCHEMA_ID = 1
const START_TS = 1_700_000_000_000

export interface StageCost {
  readonly stage: string
  /** What is counted: records, rows or sensors. */
  readonly unit: string
  readonly cpu_us: number
  readonly per_s: number
}

export interface StagesReport {
  readonly stages: readonly StageCost[]
  /** The core's cost per record by number of sensors. */
  readonly by_sensors: readonly {
    readonly sensors: number
    readonly core_cpu_us: number
    readonly snapshot_bytes: number
  }[]
}

/** @param records per stage */
export async function benchStages(records: number, progress: (text: string) => void): Promise<StagesReport> {
  const encoded = makeBatches(records, 1_000)
  const batches = encoded.map((bytes) => new RecordBatch(bytes))
  const values = batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => Buffer.from(batch.value(i)!)))
  const readings = values.map((value) => readingType.fromBuffer(value.subarray(FRAME_BYTES)) as unknown)
  const keys = batches.flatMap((batch) => Array.from({ length: batch.count }, (_, i) => Buffer.from(batch.key(i)!)))
  const stages: StageCost[] = []
  const stage = (name: string, unit: string, units: number, work: () => void): void => {
    progress(`measuring: ${name}`)
    stages.push({ stage: name, unit, ...costOf(units, work) })
  }
  const count = values.length
  stage('encode (avsc)', 'record', count, () => {
    for (const reading of readings) readingType.toBuffer(reading)
  })
  const builder = new RecordBatchBuilder()
  stage('build a record batch', 'record', count, () => {
    for (let i = 0; i < count; i += 1) {
      if (i % 10_000 === 0) builder.clear()
      builder.append(keys[i], 0, keys[i].length, values[i], 0, values[i].length)
    }
  })
  stage('parse a record batch', 'record', count, () => {
    for (const bytes of encoded) new RecordBatch(bytes)
  })
  const scanner = new ReadingScanner()
  const plan = planScan(loadSchema('reading'))
  stage('scan a reading', 'record', count, () => {
    for (const batch of batches) {
      for (let i = 0; i < batch.count; i += 1)
        scanner.scan(plan, batch.bytes, batch.valueAt(i) + FRAME_BYTES, batch.valueAt(i) + batch.valueLength(i))
    }
  })
  let core = newCore()
  stage('refine’s core, scan and outputs included', 'record', count, () => {
    core = newCore()
    runCore(core, batches)
  })
  stage('snapshot', 'sensor', core.refine.sensors.size, () => {
    for (const chunk of takeSnapshot(core.refine, 'bench', 0)) snapshotType.toBuffer(chunk)
  })
  stage('decode (avsc), as the sink does', 'record', count, () => {
    for (const value of values) readingType.fromBuffer(value.subarray(FRAME_BYTES))
  })
  progress('measuring: store')
  const store = await benchStore({ rows: Math.min(records, 300_000), sensors: 1_000, batchRows: 10_000, late: 0.02 })
  stages.push({ stage: 'write into SQLite', unit: 'row', cpu_us: store.cpu_us_per_row, per_s: store.rows_per_s })
  return {
    stages,
    by_sensors: [100, 1_000, 10_000, 100_000].map((sensors) =>
      coreCost(sensors, Math.max(records, sensors * 5), progress),
    ),
  }
}

function coreCost(
  sensors: number,
  records: number,
  progress: (text: string) => void,
): StagesReport['by_sensors'][number] {
  progress(`measuring: the core with ${sensors.toLocaleString('en')} sensors`)
  const batches = makeBatches(records, sensors).map((bytes) => new RecordBatch(bytes))
  const count = batches.reduce((sum, batch) => sum + batch.count, 0)
  const core = newCore()
  const { cpu_us } = costOnce(count, () => runCore(core, batches))
  const bytes = takeSnapshot(core.refine, 'bench', 0).reduce(
    (sum, chunk) => sum + snapshotType.toBuffer(chunk).length,
    0,
  )
  return { sensors, core_cpu_us: cpu_us, snapshot_bytes: bytes }
}

function makeBatches(records: number, sensors: number): Buffer[] {
  const batches: Buffer[] = []
  for (const builders of rounds(
    { records, sensors, partitions: 1, seed: 1, outOfOrder: 0.02, duplicates: 0.007, schemaId: SCHEMA_ID },
    START_TS,
  )) {
    for (const builder of builders)
      if (builder.count > 0) batches.push(Buffer.from(builder.finish(START_TS + 86_400_000, -1n, 0, -1, false)))
  }
  return batches
}

function newCore(): { refine: Refine; outputs: BatchOutputs } {
  const plan = planScan(loadSchema('reading'))
  const outputs = new BatchOutputs(REFINE_TOPICS, 0, SCHEMA_ID, { get: () => plan, whyRefused: () => '' })
  const settings = {
    gapTimeoutMs: 2_000,
    gapBuffer: 64,
    holdBackMs: 2_000,
    holdBackBuffer: 256,
    futureMs: 300_000,
    aheadMs: 5_000,
    earliestMs: Date.UTC(2000),
    partitions: 0,
    window: 300,
    minSamples: 30,
    z: 3,
    version: 0,
    zByNode: [],
    zBySite: [],
    zByMetric: [],
  }
  const refine = new Refine(settings, () => plan, 0, outputs)
  // As a task runs it.
  refine.careful = 0
  return { refine, outputs }
}

function runCore(
  { refine, outputs }: { refine: Refine; outputs: BatchOutputs },
  batches: readonly RecordBatch[],
): void {
  for (const batch of batches) {
    refine.run(batch, 0, batch.count)
    outputs.clear()
  }
}

/** The second of two runs: the first one warms the code up. */
function costOf(units: number, work: () => void): { cpu_us: number; per_s: number } {
  work()
  return costOnce(units, work)
}

function costOnce(units: number, work: () => void): { cpu_us: number; per_s: number } {
  const started = performance.now()
  const cpu = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(cpu)
  return {
    cpu_us: Number(((user + system) / units).toFixed(3)),
    per_s: Math.round(units / ((performance.now() - started) / 1_000)),
  }
}
