// The settings that can be changed at run time (MI-5): each with its bounds, the kinds of scope in which it may be set,
// and what it means, in one table, from which they are checked, resolved, listed and documented. A setting that is not in
// the table cannot be set. Bounds and base values are those of the environment variable named beside it.
import type { Config, SettingName } from '../config.ts'

/** What a value may be set for: everything, a site, a node, one metric's detector. */
export type ScopeKind = 'fleet' | 'site' | 'node' | 'detector'

export interface RuntimeSetting {
  readonly min: number
  readonly max: number
  /** Whether it must be a whole number. */
  readonly whole: boolean
  readonly scopes: readonly ScopeKind[]
  /** The variable whose value applies where the configuration sets none. */
  readonly base: SettingName
  readonly doc: string
}

export const RUNTIME_SETTINGS = {
  'producer.rate_hz': {
    min: 0.001,
    max: 1_000,
    whole: false,
    scopes: ['fleet', 'site', 'node'],
    base: 'FLEET_RATE_HZ',
    doc: 'Samples per sensor and second of simulated nodes. A node has one rate; its site is that of its first sensor.',
  },
  'detector.z': {
    min: 0.1,
    max: 1_000,
    whole: false,
    scopes: ['fleet', 'detector', 'site', 'node'],
    base: 'DETECTOR_Z',
    doc: 'Absolute z-score that makes an anomaly.',
  },
  'detector.window': {
    min: 2,
    max: 100_000,
    whole: true,
    scopes: ['fleet'],
    base: 'DETECTOR_WINDOW',
    doc: 'Samples per metric that the z-score is computed from.',
  },
  'detector.min_samples': {
    min: 2,
    max: 100_000,
    whole: true,
    scopes: ['fleet'],
    base: 'DETECTOR_MIN_SAMPLES',
    doc: 'Samples before the first z-score; at most detector.window.',
  },
  'refine.gap_timeout_ms': {
    min: 1,
    max: 3_600_000,
    whole: true,
    scopes: ['fleet'],
    base: 'REFINE_GAP_TIMEOUT_MS',
    doc: 'How long an early reading waits for the missing ones, ms of arrival time.',
  },
  'refine.hold_back_ms': {
    min: 1,
    max: 3_600_000,
    whole: true,
    scopes: ['fleet'],
    base: 'REFINE_HOLD_BACK_MS',
    doc: 'How long a reading without seq is held back to be sorted, ms of arrival time.',
  },
} as const satisfies Record<string, RuntimeSetting>

export type RuntimeName = keyof typeof RUNTIME_SETTINGS

export const RUNTIME_NAMES = Object.keys(RUNTIME_SETTINGS) as RuntimeName[]

/** The setting's entry, with the common type. */
export const runtimeSetting = (name: RuntimeName): RuntimeSetting => RUNTIME_SETTINGS[name]

/** What applies where the configuration sets nothing. */
export type BaseValues = Readonly<Record<RuntimeName, number>>

export const baseValues = (config: Config): BaseValues =>
  Object.fromEntries(RUNTIME_NAMES.map((name) => [name, config[RUNTIME_SETTINGS[name].base]])) as BaseValues
