// The state of a refine core as chunks of SnapshotChunk (schemas/snapshot.avsc), and back. A restored core equals the
// one that never stopped: everything that can influence an output is in here, down to the last bit of a window's mean.
// Metrics are named, so that a snapshot outlives changes of the schema: a new metric starts with an empty window, and
// the window of one that is gone is dropped.
import avsc from 'avsc'
import { loadSchema } from '../../../schemas/load.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { ledgerFrom } from '../../../schemas/refine.ts'
import type { Refine } from './refine.ts'
import type { Sensor } from './sensor.ts'
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
 * The state in slices of about CHUNK_BYTES, each made when it is asked for: with 100,000 sensors all of it at once would be
 * hundreds of megabytes, and seconds in which the process does nothing else. The core must not run in between.
 */
export class SnapshotSlices {
  readonly #core: Refine
  readonly #groups: readonly (readonly Sensor[])[]
  readonly #common: Pick<SnapshotChunk, 'id' | 'input_offset' | 'now' | 'settings' | 'metrics' | 'counters'>

  /**
   * @param id unique among the snapshots of this partition
   * @param inputOffset raw offset of the next record that the core will read
   */
  constructor(core: Refine, id: string, inputOffset: number) {
    this.#core = core
    this.#groups = groupsOf(core.sensors.values())
    const { now, ledger } = core
    const settings = settingsText(core.settings)
    const metrics = METRICS.map(({ name }) => name)
    this.#common = { id, input_offset: inputOffset, now, settings, metrics, counters: { ...ledger } }
  }

  /** At least one, which may be without sensors. */
  get count(): number {
    return this.#groups.length
  }

  slice(index: number): SnapshotChunk {
    if (this.#core.now !== this.#common.now || this.#core.ledger.consumed !== this.#common.counters.consumed)
      throw new RangeError('the core has run since its snapshot was begun')
    return { ...this.#common, index, chunks: this.count, sensors: this.#groups[index].map(sensorState) }
  }
}

/** Sensors of each slice, by their sizes. */
function groupsOf(sensors: Iterable<Sensor>): Sensor[][] {
  const groups: Sensor[][] = [[]]
  let bytes = 0
  for (const sensor of sensors) {
    const size = sizeOf(sensor)
    if (bytes > 0 && bytes + size > CHUNK_BYTES) {
      groups.push([])
      bytes = 0
    }
    groups.at(-1)!.push(sensor)
    bytes += size
  }
  return groups
}

/** All slices at once, for small states. */
export function takeSnapshot(core: Refine, id: string, inputOffset: number): SnapshotChunk[] {
  const slices = new SnapshotSlices(core, id, inputOffset)
  return Array.from({ length: slices.count }, (_, index) => slices.slice(index))
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
