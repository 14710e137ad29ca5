// Simulated sensors (EM-1, TA-1): power meters, climate sensors, machines and hosts, with daily cycles, noise and now
// and then a labelled outlier. Everything follows from the seed, the sensor's number and the event times asked for:
// the same seed gives the same bytes. The energy meter is a closed integral of time, so it never decreases, not even
// over a restart.
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64'
import { xoroshiro128plus } from 'pure-rand/generator/xoroshiro128plus'
import type { Reading } from '../../../platform/codec/reading.ts'

export interface GeneratorOptions {
  readonly seed: number
  readonly nodeId: string
  /** Sensors of the node, and the fleet-wide number of its first one. */
  readonly sensors: number
  readonly firstSensor: number
  /** Share of readings that are made outliers. */
  readonly anomalies: number
}

type Kind = 'power' | 'climate' | 'machine' | 'host'
type Rng = ReturnType<typeof xoroshiro128plus>

interface Sensor {
  readonly kind: Kind
  readonly rng: Rng
  /** What the sensor's values vary around; drawn once from its own stream. */
  readonly level: number
  readonly phase: number
  readonly reading: Reading
  readonly tags: Record<string, string>
  readonly labelled: Readonly<Record<AnomalyType, Record<string, string>>>
}

/** `spike` multiplies or adds, `dip` takes away. */
export const ANOMALY_TYPES = ['spike', 'dip'] as const
export type AnomalyType = (typeof ANOMALY_TYPES)[number]

/** Ten sensors in a row: what a small plant has of each kind. */
const KINDS: readonly Kind[] = [
  'power',
  'climate',
  'power',
  'machine',
  'power',
  'climate',
  'power',
  'host',
  'climate',
  'machine',
]
const TENANTS = ['acme', 'globex']
const REGIONS = ['eu-central', 'eu-west', 'us-east']
const SENSORS_PER_SITE = 40
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000
const TAU = 2 * Math.PI
/** Energy meters were installed then: 2025-01-01. */
const METER_ZERO_MS = 1_735_689_600_000
/** Share of the level by which consumption swings over a day; below 1, so that energy only grows. */
const DAILY_SWING = 0.4

export class Generator {
  readonly #sensors: readonly Sensor[]
  readonly #anomalies: number

  constructor(options: GeneratorOptions) {
    this.#anomalies = options.anomalies
    this.#sensors = Array.from({ length: options.sensors }, (_, i) => makeSensor(options, i))
  }

  /** The reading object of a sensor, which every sample of it fills again. */
  reading(sensor: number): Reading {
    return this.#sensors[sensor].reading
  }

  /** Fills in the sensor's reading for an event time, ms, and a monotonic time, ms. Epoch and seq are the log's to give. */
  sample(sensor: number, ts: number, monoMs: number): Reading {
    const s = this.#sensors[sensor]
    s.reading.ts = ts
    s.reading.mono_ms = monoMs
    const anomaly = this.#drawAnomaly(s.rng)
    s.reading.tags = anomaly === null ? s.tags : s.labelled[anomaly]
    fill(s, ts, anomaly)
    return s.reading
  }

  #drawAnomaly(rng: Rng): AnomalyType | null {
    const drawn = uniformFloat64(rng)
    if (drawn >= this.#anomalies) return null
    return drawn < this.#anomalies / 2 ? 'spike' : 'dip'
  }
}

function makeSensor({ seed, nodeId, firstSensor }: GeneratorOptions, i: number): Sensor {
  const number = firstSensor + i
  const rng = xoroshiro128plus((seed * 1_000_003 + number) | 0)
  const kind = KINDS[number % KINDS.length]
  const site = Math.floor(number / SENSORS_PER_SITE)
  const tags: Record<string, string> = { kind }
  if (kind === 'host') {
    tags.region = REGIONS[site % REGIONS.length]
    tags.project_id = `project-${site % 5}`
  }
  const reading: Reading = {
    tenant_id: TENANTS[site % TENANTS.length],
    site_id: `site-${String(site + 1).padStart(2, '0')}`,
    node_id: nodeId,
    sensor_id: `${kind}-${String(number + 1).padStart(4, '0')}`,
    epoch: 0,
    seq: 0,
    ts: 0,
    mono_ms: 0,
    tags,
  }
  const labelled = { spike: { ...tags, anomaly_type: 'spike' }, dip: { ...tags, anomaly_type: 'dip' } }
  return { kind, rng, level: uniformFloat64(rng), phase: uniformFloat64(rng), reading, tags, labelled }
}

function fill(sensor: Sensor, ts: number, anomaly: AnomalyType | null): void {
  switch (sensor.kind) {
    case 'power':
      return fillPower(sensor, ts, anomaly)
    case 'climate':
      return fillClimate(sensor, ts, anomaly)
    case 'machine':
      return fillMachine(sensor, ts, anomaly)
    case 'host':
      return fillHost(sensor, ts, anomaly)
  }
}

/** The day's cycle of a sensor: its angle at `ts`. */
const daily = ({ phase }: Sensor, ts: number): number => TAU * (ts / DAY_MS + phase)

function fillPower(sensor: Sensor, ts: number, anomaly: AnomalyType | null): void {
  const { reading, rng, level } = sensor
  const mean = 500 + 9_500 * level
  const factor = anomaly === 'spike' ? 4 : anomaly === 'dip' ? 0.05 : 1
  const power = mean * (1 + DAILY_SWING * Math.sin(daily(sensor, ts)) + 0.03 * noise(rng)) * factor
  const voltage = 230 + 1.5 * noise(rng)
  reading.power_w = round(power, 1)
  reading.voltage_v = round(voltage, 2)
  reading.current_a = round(power / voltage, 3)
  reading.energy_wh = round(energyWh(sensor, mean, ts), 3)
}

/** Integral of mean·(1 + swing·sin(angle)) since the meter's installation. */
function energyWh(sensor: Sensor, mean: number, ts: number): number {
  const hours = (ts - METER_ZERO_MS) / HOUR_MS
  const swing =
    ((DAILY_SWING * DAY_MS) / HOUR_MS / TAU) * (Math.cos(daily(sensor, METER_ZERO_MS)) - Math.cos(daily(sensor, ts)))
  return Math.max(0, mean * (hours + swing))
}

function fillClimate(sensor: Sensor, ts: number, anomaly: AnomalyType | null): void {
  const { reading, rng, level } = sensor
  const shift = anomaly === 'spike' ? 15 : anomaly === 'dip' ? -15 : 0
  const swing = Math.sin(daily(sensor, ts))
  reading.temperature_c = round(16 + 8 * level + 3 * swing + 0.1 * noise(rng) + shift, 3)
  reading.humidity_pct = round(clamp(50 + 15 * level - 8 * swing + 0.4 * noise(rng) - shift, 0, 100), 3)
  reading.pressure_hpa = round(1013 + 6 * Math.sin(daily(sensor, ts) / 5) + 0.2 * noise(rng), 3)
}

function fillMachine(sensor: Sensor, ts: number, anomaly: AnomalyType | null): void {
  const { reading, rng, level } = sensor
  const load = 1 + 0.3 * Math.sin(daily(sensor, ts) * 24)
  const factor = anomaly === 'spike' ? 6 : anomaly === 'dip' ? 0 : 1
  reading.vibration_mm_s = round(Math.max(0, (1.5 + 3 * level) * load + 0.15 * noise(rng)) * factor, 4)
  reading.temperature_c = round(45 + 20 * level + 5 * load + 0.3 * noise(rng), 3)
}

function fillHost(sensor: Sensor, ts: number, anomaly: AnomalyType | null): void {
  const { reading, rng, level } = sensor
  const shift = anomaly === 'spike' ? 50 : anomaly === 'dip' ? -50 : 0
  const usage = 25 + 25 * level + 12 * Math.sin(daily(sensor, ts)) + 2 * noise(rng)
  reading.cpu_usage_pct = round(clamp(usage + shift, 0, 100), 3)
  reading.memory_usage_pct = round(clamp(40 + 30 * level + 0.2 * usage + 0.5 * noise(rng), 0, 100), 3)
}

/** Nearly normal, mean 0, standard deviation 1, bounded by ±3.5: the sum of four uniform draws, scaled. */
function noise(rng: Rng): number {
  const sum = (rng.next() + rng.next() + rng.next() + rng.next()) / 2 ** 32
  return sum * Math.sqrt(3)
}

const clamp = (value: number, min: number, max: number): number => Math.min(max, Math.max(min, value))

/** Sensors have a resolution; fewer digits also compress better downstream. */
function round(value: number, digits: number): number {
  const scale = 10 ** digits
  return Math.round(value * scale) / scale
}
