// What a settled run has left behind, read straight from the broker's logs and the store: checks judge this, never what
// a service reports about itself. Records of aborted transactions are excluded.
import type { RuntimeConfig } from '../../platform/runtime-config/document.ts'
import type { StoredReading } from '../../platform/store/port.ts'
import { SqliteStore } from '../../platform/store/sqlite/store.ts'
import type { Accepted, Identity } from '../accepted.ts'
import type { DumpedRecord, SimBroker } from '../broker/broker.ts'
import { readingIn } from '../registry.ts'

/** A committed record of raw, clean or late that is a reading. */
export interface ReadingRecord extends Identity {
  readonly partition: number
  readonly offset: number
  readonly value: Buffer
}

export interface Evidence {
  readonly accepted: Accepted
  readonly broker: SimBroker
  readonly partitions: number
  /** Rows by tenant/sensor and event time. */
  readonly stored: ReadonlyMap<string, StoredReading>
  /** Changes of the configuration that were confirmed to their authors. */
  readonly confirmed: readonly RuntimeConfig[]
  /** Folders of the replicas. */
  readonly replicaDirs: readonly string[]
}

/** Descriptions of what is wrong; empty if all is well. */
export type Check = (evidence: Evidence) => string[]

export const committed = (broker: SimBroker, topic: string): DumpedRecord[] =>
  broker.dump(topic).filter(({ fate }) => fate === 'committed')

/** Readings of a topic by partition and offset; anything else is left out. */
export function readingsOf(broker: SimBroker, topic: string): ReadingRecord[] {
  const readings: ReadingRecord[] = []
  for (const { key, value, partition, offset } of committed(broker, topic)) {
    if (key === null || value === null) continue
    try {
      const { epoch, seq, ts } = readingIn(value)
      readings.push({ key: key.toString(), epoch, seq, ts, partition, offset, value })
    } catch {
      // Garbage is sent on purpose; the audit counts it.
    }
  }
  return readings
}

const ROWS_MAX = 100_000

/** Every row of the store. */
export async function readStored(file: string): Promise<Map<string, StoredReading>> {
  const store = new SqliteStore({ file, access: 'read' })
  try {
    return await store.read(async (view) => {
      const rows = new Map<string, StoredReading>()
      for (const at of await view.sensors({ limit: ROWS_MAX })) {
        for (const row of (await view.recent(at, ROWS_MAX)) ?? []) rows.set(`${at.tenant}/${at.sensor} ${row.ts}`, row)
      }
      return rows
    })
  } finally {
    await store.close()
  }
}
