// Rows for tests of stores and of what is built on them.
import type { Reading } from '../codec/reading.ts'
import type { Anomaly, ProgressUpdate, ReadingRows, Store, WriteBatch } from './port.ts'

/** What a part of the contract is given. */
export interface Ground {
  /** An empty, migrated store, closed after the test. */
  readonly fresh: () => Promise<Store>
  /**
   * A name that no other run has. A property's runs share a store, since a database of a server takes seconds to make,
   * and each run has tenants and sites of its own.
   */
  readonly ownName: () => string
}

/** A row to write: a reading with its version. */
export interface Row {
  readonly reading: Reading
  readonly version: number
}

export function reading(fields: Partial<Reading> = {}): Reading {
  const nothing = { power_w: null, voltage_v: null, current_a: null, energy_wh: null, temperature_c: null }
  return {
    tenant_id: 't',
    site_id: 'site',
    node_id: 'node',
    sensor_id: 's',
    epoch: 0,
    seq: 0,
    ts: 0,
    mono_ms: 0,
    tags: {},
    ...nothing,
    ...fields,
  }
}

/** Fields of a reading that withdraws the values of these metrics. */
export const erasing = (...erase: readonly string[]): Partial<Reading> => ({ erase }) as unknown as Partial<Reading>

export function rowsOf(rows: readonly Row[]): ReadingRows {
  return {
    readings: rows.map((row) => row.reading),
    versions: Float64Array.from(rows, (row) => row.version),
    arrivals: Float64Array.from(rows, (row) => row.reading.ts + 50),
  }
}

export const batch = (rows: readonly Row[], progress: readonly ProgressUpdate[] = []): WriteBatch => ({
  rows: rowsOf(rows),
  anomalies: [],
  progress,
})
export function anomaly(fields: Partial<Anomaly> = {}): Anomaly {
  const at = {
    tenant_id: 't',
    site_id: 'site',
    node_id: 'node',
    sensor_id: 's',
    epoch: 1,
    seq: 1,
    ts: 1,
    metric: 'power_w',
  }
  return {
    ...at,
    value: 9.5,
    detector: 'zscore',
    score: 4,
    threshold: 3,
    mean: 1,
    stddev: 2,
    window_count: 300,
    ...fields,
  }
}

/** A row of telemetry.clean. */
export const clean = (fields: Partial<Reading>): Row => ({ reading: reading(fields), version: 0 })
/** A row of telemetry.late at this offset. */
export const late = (offset: number, fields: Partial<Reading>): Row => ({
  reading: reading(fields),
  version: 1 + offset,
})
/** The sensor of `reading()`. */
export const AT = { tenant: 't', sensor: 's' }
