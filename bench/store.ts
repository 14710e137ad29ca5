// How fast the store takes rows: writes readings of many sensors, 10 Hz each and in order, a share of them as late
// corrections of existing rows, in batches like the sink's. Making the readings is not part of the figures.
// Rollups are made by the writes themselves once a sensor has a few hundred rows: few rows of many sensors measure
// writing without them, many rows of few sensors (--sensors 200) measure writing with them.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Reading } from '../platform/codec/reading.ts'
import type { WriteBatch } from '../platform/store/port.ts'
import { SqliteStore } from '../platform/store/sqlite/store.ts'

export interface StoreBenchOptions {
  readonly rows: number
  readonly sensors: number
  readonly batchRows: number
  /** Share of rows that correct an earlier one. */
  readonly late: number
}

export interface StoreBenchResult {
  readonly rows: number
  readonly rows_per_s: number
  readonly cpu_us_per_row: number
  /** Aggregating all of it as one site in 60 windows, all metrics that occur. */
  readonly aggregate_rows_per_s: number
}

const FIRST_TS = 1_700_000_000_000

export async function benchStore({ rows, sensors, batchRows, late }: StoreBenchOptions): Promise<StoreBenchResult> {
  const folder = mkdtempSync(join(tmpdir(), 'plumbline-bench-store-'))
  const store = new SqliteStore({ file: join(folder, 'store.sqlite'), access: 'write' })
  try {
    await store.migrate()
    let seconds = 0
    let cpuUs = 0
    for (let first = 0; first < rows; first += batchRows) {
      const batch = makeBatch(first, Math.min(batchRows, rows - first), sensors, late)
      const started = performance.now()
      const cpu = process.cpuUsage()
      await store.write(batch)
      const used = process.cpuUsage(cpu)
      cpuUs += used.user + used.system
      seconds += (performance.now() - started) / 1000
    }
    const aggregated = await timeAggregate(store, rows, sensors)
    return {
      rows,
      rows_per_s: Math.round(rows / seconds),
      cpu_us_per_row: Number((cpuUs / rows).toFixed(2)),
      aggregate_rows_per_s: aggregated,
    }
  } finally {
    await store.close()
    rmSync(folder, { recursive: true })
  }
}

/** Row n is reading ⌊n / sensors⌋ of sensor n mod sensors; every 1/late-th row is one of the sensor's earlier ones. */
function makeBatch(first: number, count: number, sensors: number, late: number): WriteBatch {
  const every = late === 0 ? Infinity : Math.round(1 / late)
  const readings: Reading[] = []
  const versions = new Float64Array(count)
  const arrivals = new Float64Array(count)
  for (let i = 0; i < count; i += 1) {
    const n = first + i
    const corrects = n % every === every - 1
    const seq = corrects ? Math.floor(n / sensors / 2) : Math.floor(n / sensors)
    if (corrects) versions[i] = n
    arrivals[i] = FIRST_TS + Math.floor(n / sensors) * 100 + 40
    readings.push(makeReading(n % sensors, seq))
  }
  return {
    rows: { readings, versions, arrivals },
    anomalies: [],
    progress: [
      {
        topic: 'bench',
        partition: 0,
        after: first === 0 ? null : first,
        offset: first + count,
        throughMs: null,
        eventMs: null,
      },
    ],
  }
}

function makeReading(sensor: number, seq: number): Reading {
  return {
    tenant_id: 'default',
    site_id: 'site',
    node_id: `node-${sensor % 20}`,
    sensor_id: `sensor-${sensor}`,
    epoch: 1,
    seq,
    ts: FIRST_TS + seq * 100,
    mono_ms: seq * 100,
    power_w: 1000 + Math.sin(seq / 10) * 100,
    voltage_v: 230 + (seq % 7) * 0.1,
    current_a: 4.3 + (seq % 11) * 0.01,
    energy_wh: seq * 0.03,
    temperature_c: null,
    humidity_pct: null,
    pressure_hpa: null,
    vibration_mm_s: null,
    cpu_usage_pct: null,
    memory_usage_pct: null,
    tags: { phase: 'L1' },
  }
}

async function timeAggregate(store: SqliteStore, rows: number, sensors: number): Promise<number> {
  const to = FIRST_TS + (Math.ceil(rows / sensors) + 1) * 100
  const windowMs = Math.ceil((to - FIRST_TS) / 60)
  const started = performance.now()
  const { windows } = await store.read((view) =>
    view.aggregate({ site: 'site', tenant: null, windowMs, from: FIRST_TS, to, metrics: null }),
  )
  const read = windows.reduce((sum, window) => sum + window.count, 0)
  return Math.round(read / ((performance.now() - started) / 1000))
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      rows: { type: 'string', default: '1000000' },
      sensors: { type: 'string', default: '1000' },
      batch: { type: 'string', default: '20000' },
      late: { type: 'string', default: '0.02' },
      json: { type: 'boolean', default: false },
    },
  })
  const options = {
    rows: Number(values.rows),
    sensors: Number(values.sensors),
    batchRows: Number(values.batch),
    late: Number(values.late),
  }
  const result = await benchStore(options)
  if (values.json) console.log(JSON.stringify(result))
  else
    console.log(
      `${result.rows} rows, ${options.sensors} sensors: ${result.rows_per_s} rows/s written, ${result.cpu_us_per_row} µs of CPU per row; ${result.aggregate_rows_per_s} rows/s aggregated`,
    )
}
