// The state of a refine core as chunks of SnapshotChunk (schemas/snapshot.avsc), and back. A restored core equals the
// one that never stopped: everything that can influence an output is in here, down to the last bit of a window's mean.
// Metrics are named, so that a snapshot outlives changes of the schema: a new metric starts with an empty window, and
// the window of one that is gone is dropped.
import avsc from 'avsc'
import { loadSchema } from '../../../schemas/load.ts'
import { HoldBack } from './hold-back.ts'
import { Lane } from './lane.ts'
import { METRICS } from '../../../schemas/metrics.ts'
import { ledgerFrom } from '../../../schemas/refine.ts'
import { MetricWindow } from './metric-window.ts'
import { MissingRanges } from './missing-ranges.ts'
import { Recent } from './recent.ts'
import type { Refine } from './refine.ts'
import { Sensor } from './sensor.ts'
import { SensorClock } from './sensor-clock.ts'
import { parseSettings, settingsText } from './settings.ts'
import { schemaIdAt } from '../../../platform/codec/framing.ts'

export const snapshotType = avsc.Type.forSchema(loadSchema('snapshot') as unknown as avsc.Schema)

/** A chunk is closed at about this size: half of a reader's fetch size, so that one always fits. */
const CHUNK_BYTES = 512 * 1024

interface HeldState {
  seq: number
  ts: number
  arrival: number
  state: number
  key: Buffer
  value: Buffer
  hash: number | null
}

interface LaneState {
  epoch: number
  next_seq: number
  horizon: number
  missing: number[]
  deadline: number
  held: HeldState[]
  recent: Buffer
}

interface WindowState {
  metric: number
  reference: number
  mean: number
  m2: number
  slides: number
  peak: number
  samples: Buffer
}

interface SensorState {
  key: Buffer
  last_ts: number
  clock: { offset: number; confirmed_at: number; candidate: number; agreeing: number } | null
  lanes: LaneState[]
  known_ts: number[]
  known_hash: number[]
  windows: WindowState[]
}

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
      for (const lane of sensor.lanes) if (lane.deadline < Infinity) core.due.add(lane.deadline, sensor.key, lane.epoch)
      if (sensor.holdBack !== null && sensor.holdBack.deadline < Infinity)
        core.due.add(sensor.holdBack.deadline, sensor.key, 0)
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

const LIVE = 0
const PLACE_ONLY = 1
/** The hold-back of unnumbered readings is stored as the lane of epoch 0, which numbered readings cannot have. */
const UNNUMBERED = 0

function sensorState(sensor: Sensor): SensorState {
  const { holdBack } = sensor
  const lanes = sensor.lanes.map(laneState)
  if (holdBack !== null)
    lanes.push(laneState(new Lane(UNNUMBERED, 0, new MissingRanges(), holdBack.held, holdBack.deadline)))
  return {
    key: Buffer.from(sensor.key, 'latin1'),
    last_ts: sensor.lastTs,
    clock: clockState(sensor.clock),
    lanes,
    known_ts: [...(holdBack?.knownTs ?? [])],
    known_hash: [...(holdBack?.knownHash ?? [])],
    windows: sensor.windows.flatMap((window, metric) => (window === null ? [] : [windowState(window, metric)])),
  }
}

function clockState({ offset, confirmedAt, candidate, agreeing }: SensorClock): SensorState['clock'] {
  return { offset, confirmed_at: confirmedAt, candidate, agreeing }
}

function laneState({ epoch, next, missing, deadline, held, recent }: Lane): LaneState {
  return {
    epoch,
    next_seq: next,
    horizon: missing.horizon,
    missing: missing.bounds(),
    deadline,
    held: held.map(({ seq, ts, arrival, live, key, value, hash }) => ({
      seq,
      ts,
      arrival,
      state: live ? LIVE : PLACE_ONLY,
      key: Buffer.from(key),
      value: Buffer.from(value),
      hash: Number.isNaN(hash) ? null : hash,
    })),
    recent: bytesOf(recent.hashes().slice()),
  }
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Float64Array): Buffer =>
  Buffer.from(buffer, byteOffset, byteLength)

function windowState(window: MetricWindow, metric: number): WindowState {
  return {
    metric,
    reference: window.reference,
    mean: window.mean,
    m2: window.m2,
    slides: window.slides,
    peak: window.peak,
    samples: bytesOf(window.samples()),
  }
}

/** @param places where a metric of the snapshot is in METRICS; undefined for one that no longer exists */
function restoreSensor(state: SensorState, places: readonly (number | undefined)[]): Sensor {
  const sensor = new Sensor(state.key.toString('latin1'), state.last_ts, clockOf(state))
  for (const lane of state.lanes) {
    const held = lane.held.map(({ seq, ts, arrival, state: kind, key, value, hash }) => ({
      seq,
      ts,
      arrival,
      live: kind === LIVE,
      key,
      value,
      hash: hash ?? NaN,
    }))
    if (lane.epoch === UNNUMBERED) sensor.holdBack = new HoldBack(held, state.known_ts, state.known_hash, lane.deadline)
    else
      sensor.lanes.push(
        new Lane(
          lane.epoch,
          lane.next_seq,
          new MissingRanges(lane.missing, lane.horizon),
          held,
          lane.deadline,
          recentOf(lane.recent),
        ),
      )
  }
  for (const { metric, reference, mean, m2, slides, peak, samples } of state.windows) {
    const place = places[metric]
    if (place === undefined) continue
    // A copy: the bytes may be unaligned in the record, and would keep it in memory.
    const aligned = new Uint8Array(samples)
    sensor.windows[place] = MetricWindow.restore({
      reference,
      mean,
      m2,
      slides,
      peak,
      samples: new Float32Array(aligned.buffer),
    })
  }
  return sensor
}

function clockOf({ clock }: SensorState): SensorClock | undefined {
  return clock === null ? undefined : new SensorClock(clock.offset, clock.confirmed_at, clock.candidate, clock.agreeing)
}

const recentOf = (bytes: Buffer): Recent =>
  bytes.length === 0 ? new Recent() : new Recent(new Float64Array(new Uint8Array(bytes).buffer))

/** Accurate enough to decide when to close a chunk. */
function sizeOf(state: SensorState): number {
  let bytes = 64 + state.known_ts.length * 14
  for (const { samples } of state.windows) bytes += samples.length + 40
  for (const { missing, held, recent } of state.lanes) {
    bytes += 64 + missing.length * 8 + recent.length
    for (const { key, value } of held) bytes += key.length + value.length + 34
  }
  return bytes
}
