// What refine knows of one sensor as plain data, and back, down to the last bit: for snapshots, and to restore a sensor to
// what it was before a record on which the core threw.
import { type Held, heldBytes } from './held.ts'
import { HoldBack } from './hold-back.ts'
import { Lane } from './lane.ts'
import { MetricWindow } from './metric-window.ts'
import { MissingRanges } from './missing-ranges.ts'
import { Recent } from './recent.ts'
import { Sensor } from './sensor.ts'
import { SensorClock } from './sensor-clock.ts'

interface HeldState {
  seq: number
  ts: number
  arrival: number
  state: number
  key: Buffer
  value: Buffer
  hash: number | null
  offset: number
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

export interface SensorState {
  key: Buffer
  last_ts: number
  clock: { offset: number; confirmed_at: number; candidate: number; agreeing: number } | null
  lanes: LaneState[]
  known_ts: number[]
  known_hash: number[]
  windows: WindowState[]
}

export const LIVE = 0
const PLACE_ONLY = 1
/** The hold-back of unnumbered readings is stored as the lane of epoch 0, which numbered readings cannot have. */
const UNNUMBERED = 0

export function sensorState(sensor: Sensor): SensorState {
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
    held: held.map(({ seq, ts, arrival, live, key, value, hash, offset }) => ({
      seq,
      ts,
      arrival,
      state: live ? LIVE : PLACE_ONLY,
      key: Buffer.from(key),
      value: Buffer.from(value),
      hash: Number.isNaN(hash) ? null : hash,
      offset,
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
export function restoreSensor(state: SensorState, places: readonly (number | undefined)[]): Sensor {
  const sensor = new Sensor(state.key.toString('latin1'), state.last_ts, clockOf(state))
  for (const lane of state.lanes) {
    const held = lane.held.map(({ seq, ts, arrival, state: kind, key, value, hash, offset }) => ({
      seq,
      ts,
      arrival,
      live: kind === LIVE,
      key,
      value,
      hash: hash ?? NaN,
      offset,
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

/** Every wait of the sensor that ends by itself. */
export function deadlinesOf({ lanes, holdBack }: Sensor): { readonly deadline: number; readonly epoch: number }[] {
  const waits = lanes.map(({ deadline, epoch }) => ({ deadline, epoch }))
  if (holdBack !== null) waits.push({ deadline: holdBack.deadline, epoch: UNNUMBERED })
  return waits.filter(({ deadline }) => deadline < Infinity)
}

/** Bytes of the sensor's state in a snapshot: accurate enough to decide when to close a slice, and cheap. */
export function sizeOf({ key, lanes, holdBack, windows }: Sensor): number {
  let bytes = 96 + key.length + (holdBack === null ? 0 : 64 + holdBack.knownTs.length * 14 + heldSize(holdBack.held))
  for (const window of windows) if (window !== null) bytes += 40 + window.count * Float32Array.BYTES_PER_ELEMENT
  for (const { missing, held, recent } of lanes)
    bytes += 64 + missing.size * 16 + recent.hashes().byteLength + heldSize(held)
  return bytes
}

function heldSize(held: readonly Held[]): number {
  let bytes = 0
  for (const one of held) bytes += heldBytes(one) + 42
  return bytes
}
