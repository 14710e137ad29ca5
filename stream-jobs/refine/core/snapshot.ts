// The state of a refine core as chunks of SnapshotChunk (schemas/snapshot.avsc), and back. A restored core equals the
// one that never stopped: everything that can influence an output is in here, down to the last bit of a window's mean.
// Metrics are named, so that a snapshot outlives changes of the schema: a new metric starts with an empty window, and
// the window of one that is gone is dropped.
import avsc from 'avsc'
import { loadSchema } from '../../../schemas/load.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { ledgerFrom } from '../../../schemas/refine.ts'
import type { Refine } from './refine.ts'
import { deadlinesOf, LIVE, restoreSensor, type SensorState, sensorState, sizeOf } from './sensor-state.ts'
import { parseSettings, settingsText } from './settings.ts'
import { schemaIdAt } from '../../../platform/codec/framing.ts'

export const snapshotType = avsc.Type.forSchema(loadSchema('snapshot') as unknown as avsc.Schema)

/** A chunk is closed at about this size: half of a reader's fetch size, so that one always fits. */
const CHUNK_BYTES = 512 * 1024

export interface SnapshotChunk {
  id: string
  index: number
  chunks: number
  input_offset: number
  now: number
  settings: string
  metrics: string[]
  counters: Record<string, number>
  sensors: SensorState[]
}

/**
 * @param id unique among the snapshots of this partition
 * @param inputOffset raw offset of the next record that the core will read
 */
export function takeSnapshot(core: Refine, id: string, inputOffset: number): SnapshotChunk[] {
  const groups: SensorState[][] = [[]]
  let bytes = 0
  for (const sensor of core.sensors.values()) {
    const state = sensorState(sensor)
    const size = sizeOf(state)
    if (bytes > 0 && bytes + size > CHUNK_BYTES) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(state)
    bytes += size
  }
  const settings = settingsText(core.settings)
  return groups.map((sensors, index) => ({
    id,
    index,
    chunks: groups.length,
    input_offset: inputOffset,
    now: core.now,
    settings,
    metrics: METRICS.map(({ name }) => name),
    counters: { ...core.ledger },
    sensors,
  }))
}

/**
 * Puts a snapshot into a new core.
 * @param chunks all chunks of one id, in order
 */
export function restoreSnapshot(core: Refine, chunks: readonly SnapshotChunk[]): void {
  core.use(parseSettings(chunks[0].settings))
  core.now = chunks[0].now
  Object.assign(core.ledger, ledgerFrom(chunks[0].counters))
  const own = new Map(METRICS.map(({ name }, metric) => [name, metric]))
  for (const { metrics, sensors } of chunks) {
    const places = metrics.map((name) => own.get(name))
    for (const state of sensors) {
      const sensor = restoreSensor(state, places)
      core.sensors.set(sensor.key, sensor)
      for (const { deadline, epoch } of deadlinesOf(sensor)) core.due.add(deadline, sensor.key, epoch)
    }
  }
}

/** Schema ids of the readings that a snapshot holds back; their plans must be known before the core runs. */
export function schemaIdsOf(chunks: readonly SnapshotChunk[]): Set<number> {
  const ids = new Set<number>()
  for (const { sensors } of chunks) {
    for (const { lanes } of sensors) {
      for (const { held } of lanes)
        for (const { state, value } of held) if (state === LIVE) ids.add(schemaIdAt(value, 0))
    }
  }
  return ids
}
