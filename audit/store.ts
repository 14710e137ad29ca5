// The store, as an audit reads it: its offsets, what every sensor's rows add up to, and its own counters, from one
// consistent snapshot if the store offers one. Only one fingerprint per sensor is kept of the rows.
import type { Fingerprint } from '../platform/codec/fingerprint.ts'
import type { Config } from '../platform/config.ts'
import { messageOf } from '../platform/errors.ts'
import { describeStore, openStore, storeExists } from '../platform/store/open.ts'
import type { Progress, SensorRef, StoreView } from '../platform/store/port.ts'
import type { Findings } from './core/findings.ts'
import { keyOfText, keyText } from './core/records.ts'
import { topicPartition } from './inputs.ts'

export interface StoreState {
  /** Next offset per topic/partition: everything below is stored. */
  readonly offsets: ReadonlyMap<string, number>
  /** By key (latin1 text). */
  readonly fingerprints: ReadonlyMap<string, Fingerprint>
  /** Event time from which every row is kept, ms; -Infinity: from the beginning. */
  readonly rowsSince: number
  readonly anomalies: number
  /** Nothing was written in the meantime. */
  readonly isStill: boolean
}

const SENSORS_PER_PAGE = 1_000

/** Null if there is none, or it does not answer. */
export async function readStore(config: Config, findings: Findings): Promise<StoreState | null> {
  try {
    if (!(await storeExists(config))) {
      findings.note(`${describeStore(config)} does not exist yet; the audit ends at clean and late`)
      return null
    }
    const store = openStore(config, 'read')
    try {
      return await store.read((view) => readView(view, findings))
    } finally {
      await store.close()
    }
  } catch (error) {
    findings.problem('STORE_UNAVAILABLE', `${describeStore(config)} cannot be read: ${messageOf(error)}`)
    return null
  }
}

async function readView(view: StoreView, findings: Findings): Promise<StoreState> {
  const before = await view.progress()
  const rowsSince = (await view.rowsSince()) ?? -Infinity
  const fingerprints = new Map<string, Fingerprint>()
  for await (const { tenant, sensor, fingerprint } of view.fingerprints(
    rowsSince === -Infinity ? undefined : rowsSince,
  ))
    fingerprints.set(keyOf({ tenant, sensor }), fingerprint)
  const { anomalies } = await view.totals()
  const isStill = isSame(before, await view.progress())
  if (isStill) await compareCounters(view, findings)
  const offsets = new Map(before.map(({ topic, partition, offset }) => [topicPartition(topic, partition), offset]))
  return { offsets, fingerprints, rowsSince, anomalies, isStill }
}

/** Compares the counters maintained by writes with the rows themselves. */
async function compareCounters(view: StoreView, findings: Findings): Promise<void> {
  const counted = new Map((await view.countsPerSensor()).map((at) => [keyOf(at), at.count]))
  let after: SensorRef | undefined
  for (;;) {
    const page = await view.sensors({ after, limit: SENSORS_PER_PAGE })
    for (const at of page) {
      const rows = counted.get(keyOf(at)) ?? 0
      if (at.count !== rows)
        findings.problem(
          'STORE_COUNTERS',
          `the store's counters say ${at.count} readings of ${keyText(keyOf(at))}; it has ${rows}`,
        )
    }
    if (page.length < SENSORS_PER_PAGE) return
    after = page.at(-1)
  }
}

const keyOf = ({ tenant, sensor }: SensorRef): string => keyOfText(`${tenant}/${sensor}`)

const isSame = (a: readonly Progress[], b: readonly Progress[]): boolean =>
  a.length === b.length && a.every((one, i) => one.offset === b[i].offset && one.topic === b[i].topic)
