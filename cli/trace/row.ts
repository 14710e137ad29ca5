// The stored row of a reading, and how far the store is.
import type { Config } from '../../platform/config.ts'
import { describeStore, openStore, storeExists } from '../../platform/store/open.ts'
import type { Progress, SensorRef, StoredReading } from '../../platform/store/port.ts'

export interface StoredAnswer {
  readonly store: string
  /** Null where no row has this sensor and event time. */
  readonly row: StoredReading | null
  readonly progress: readonly Progress[]
}

/** Null where no store exists yet. */
export async function readRow(config: Config, at: SensorRef, ts: number | null): Promise<StoredAnswer | null> {
  if (!(await storeExists(config))) return null
  const store = openStore(config, 'read')
  try {
    return await store.read(async (view) => ({
      store: describeStore(config),
      progress: await view.progress(),
      row: ts === null ? null : await first(view.rows(at, ts), ts),
    }))
  } finally {
    await store.close()
  }
}

/** Tenants that have this sensor, at most two; empty where no store exists yet. */
export async function tenantsOf(config: Config, sensor: string): Promise<string[]> {
  if (!(await storeExists(config))) return []
  const store = openStore(config, 'read')
  try {
    return await store.read((view) => view.tenantsOf(sensor, 2))
  } finally {
    await store.close()
  }
}

/** Rows are in order of event time: the first page tells. */
async function first(pages: AsyncIterable<readonly StoredReading[]>, ts: number): Promise<StoredReading | null> {
  for await (const [row] of pages) return row?.ts === ts ? row : null
  return null
}
