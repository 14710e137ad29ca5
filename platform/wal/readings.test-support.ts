// Readings for tests, usable outside of the test runner too.
import { type Reading, readingType } from '../codec/reading.ts'
import { EntryBatch } from './entry-batch.ts'

export const SCHEMA_ID = 7

export function makeReading(sensor: string, ts: number, overrides: Partial<Reading> = {}): Reading {
  return {
    tenant_id: 't',
    site_id: 's',
    node_id: 'n',
    sensor_id: sensor,
    epoch: 0,
    seq: 0,
    ts,
    mono_ms: 0,
    tags: {},
    power_w: 1,
    ...overrides,
  }
}

export const makeBatch = (): EntryBatch => new EntryBatch(readingType, SCHEMA_ID)
